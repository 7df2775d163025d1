import { startProxy, type Proxy } from '@atoll/engines'
import type { LogWorld } from '../src/conformance.ts'

/** The network between a log and its engine, which fails when a test says so. */
export interface Network extends Required<Pick<LogWorld, 'cut' | 'silence' | 'loseAnswers' | 'resetAfter'>> {
  /** The engine's url, by way of the network. */
  readonly url: string
  readonly proxy: Proxy
  close(): Promise<void>
}

/** Puts a network before the engine at `url`; `defaultPort` is its port where the url names none. */
export async function createNetwork(url: string, defaultPort: number): Promise<Network> {
  const { hostname, port } = new URL(url.replace(/^[a-z]+:/, 'http:')) // of whose parts URL knows all
  const proxy = await startProxy({
    target: { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || defaultPort) },
  })
  const heal = (): Promise<void> => proxy.pass()
  return {
    url: url.replace(/^([a-z]+:\/\/(?:[^/@]*@)?)[^/?]*/, `$1127.0.0.1:${proxy.port}`),
    proxy,
    async cut() {
      await proxy.reset()
      return heal
    },
    async silence() {
      await proxy.lose('everything')
      return heal
    },
    async loseAnswers() {
      await proxy.lose('answers')
      return heal
    },
    resetAfter: (bytes) => proxy.resetAfter(bytes),
    close: () => proxy.close(),
  }
}
