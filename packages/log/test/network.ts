import { createProxy, type Proxy } from './proxy.ts'

/** The network between a log and its engine, which fails when a test says so. */
export interface Network {
  /** The engine's url, by way of the network. */
  readonly url: string
  cut(): Promise<() => Promise<void>>
  silence(): Promise<() => Promise<void>>
  close(): Promise<void>
}

/** Puts a network before the engine at `url`; `defaultPort` is its port where the url names none. */
export async function createNetwork(url: string, defaultPort: number): Promise<Network> {
  const { hostname, port } = new URL(url.replace(/^[a-z]+:/, 'http:')) // of whose parts URL knows all
  const proxy: Proxy = await createProxy({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || defaultPort) })
  const heal = async (): Promise<void> => proxy.heal()
  return {
    url: url.replace(/^([a-z]+:\/\/(?:[^/@]*@)?)[^/?]*/, `$1127.0.0.1:${proxy.port}`),
    async cut() {
      proxy.cut(false)
      return heal
    },
    async silence() {
      proxy.silence()
      return heal
    },
    close: () => proxy.close(),
  }
}
