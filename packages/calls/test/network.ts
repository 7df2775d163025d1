import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import type { LogFields, Logger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { command, contract, query, service, system } from 'atoll'
import type { Dispatch, Dispatched } from 'atoll/runtime'
import { z } from 'zod'
import {
  createCallClient,
  createCallServer,
  type CallClient,
  type CallServer,
  type CallServerOptions,
  type ClientLimits,
  type Discovery,
  type Instance,
  type Reached,
} from '../src/index.ts'

const Any = z.object({ text: z.string().optional() })
const shelf = contract('shelf', {
  look: query({ input: Any, output: Any }),
  put: command({ input: Any, output: Any }),
})
const desk = contract('desk', { read: query({ input: Any, output: Any }) })

/** A system whose services are played by the tests. */
const library = system('library', {
  services: [
    service(shelf, { handlers: { look: () => ({}), put: () => ({}) } }),
    service(desk, { handlers: { read: () => ({}) } }),
  ],
})

export interface Received extends Dispatch {
  readonly operation: string
}

export type Answer = (received: Received) => Promise<Partial<Dispatched>> | Partial<Dispatched>

/** An instance of the shelf, on a socket of its own. */
export interface Playing {
  readonly instance: Instance
  readonly server: CallServer
  /** What came, in order. */
  readonly received: readonly Received[]
  isReady: boolean
}

export interface Network {
  readonly logged: readonly { readonly message: string; readonly fields: LogFields }[]
  /** `port` 0, the default, takes a free one. */
  play(answer: Answer, options?: Partial<CallServerOptions>, port?: number): Promise<Playing>
  /** Takes connections and what comes over them; `work` may answer, or not. */
  playSocket(work: (socket: Socket, text: string) => void): Promise<Instance>
  /** An address at which nobody listens. */
  nobody(): Promise<Instance>
  client(
    instances: readonly Instance[],
    limits?: Partial<ClientLimits>,
    secret?: string,
  ): CallClient & { change(instances: readonly Instance[]): void }
}

/** Real sockets on loopback; everything is closed in the end. */
export async function inNetwork(work: (network: Network) => Promise<void>): Promise<void> {
  const closing: (() => unknown)[] = []
  const logged: { message: string; fields: LogFields }[] = []
  const note = (fields: LogFields, message: string): void => void logged.push({ message, fields })
  const logger: Logger = { info: note, warn: note, error: note }
  const host = createNodeHost()
  const keepAlive = setInterval(() => {}, 2 ** 30) // the host's timers do not keep a process
  try {
    await work({
      logged,
      async play(answer, options = {}, port = 0) {
        const received: Received[] = []
        const playing = { isReady: true }
        const reached: Reached = {
          system: library,
          async dispatch(operation, request) {
            const one = { operation, ...request }
            received.push(one)
            return { output: undefined, outcome: 'done', position: {}, ...(await answer(one)) }
          },
          readiness: () => ({
            ready: playing.isReady,
            reasons: playing.isReady ? [] : ['it is not: nobody is at 10.0.0.9'],
            brief: playing.isReady ? [] : ['it is not'],
            warnings: [],
          }),
          services: new Map([
            ['shelf', { name: 'shelf', state: 'running', start: async () => {}, stop: async () => {} }],
          ]),
        }
        const server = createCallServer(reached, {
          host,
          logger,
          trustEveryLocalAccount: true,
          ...options,
          limits: { lingerMs: 0, ...options.limits },
        })
        closing.unshift(() => server.close({ drainMs: 0 }))
        const { url } = await server.listen({ port, host: '127.0.0.1' })
        return Object.assign(playing, { instance: { id: new URL(url).host, url }, server, received })
      },
      async playSocket(work) {
        const sockets = new Set<Socket>()
        const server = createTcpServer((socket) => {
          sockets.add(socket)
          socket.on('error', () => undefined)
          socket.on('data', (chunk) => work(socket, chunk.toString()))
        })
        server.listen(0, '127.0.0.1')
        await once(server, 'listening')
        closing.unshift(() => {
          for (const socket of sockets) socket.destroy()
          server.close()
        })
        return instanceAt((server.address() as AddressInfo).port)
      },
      async nobody() {
        const server = createTcpServer()
        server.listen(0, '127.0.0.1')
        await once(server, 'listening')
        const { port } = server.address() as AddressInfo
        server.close()
        await once(server, 'close')
        return instanceAt(port)
      },
      client(instances, limits, secret) {
        let known = instances
        let tell = (): void => {}
        const discovery: Discovery = {
          instances: (service) => (service === 'shelf' ? known : []),
          watch(listener) {
            tell = listener
            return () => (tell = () => {})
          },
          problem: undefined,
          close: async () => {},
        }
        const client = createCallClient(library, { host, logger, discovery, secret, limits })
        closing.unshift(() => client.close())
        return Object.assign(client, {
          change(instances: readonly Instance[]) {
            known = instances
            tell()
          },
        })
      },
    })
  } finally {
    for (const close of closing) await close()
    clearInterval(keepAlive)
  }
}

function instanceAt(port: number): Instance {
  return { id: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}` }
}
