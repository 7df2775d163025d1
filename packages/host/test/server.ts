import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import type { AtollError } from '../src/error.ts'
import { Connections, type ConnectionLimits } from '../src/http/connections.ts'

/** Far longer than a test may take. */
export const HOUR_MS = 3_600_000
/** More than the two kernels on the way take. */
export const LARGE = `${'x'.repeat(16 * 2 ** 20)}\n`
export const POST = (bytes: number): string => `POST / HTTP/1.1\r\nhost: here\r\ncontent-length: ${bytes}\r\n\r\n`
export const GET = 'GET / HTTP/1.1\r\nhost: here\r\n\r\n'

export interface Asked {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  answer(body: string): void
  /** Answers with its body, of ten bytes at the most, or with the code for it. */
  answerBody(): void
}

export interface Bench {
  readonly server: Server
  readonly connections: Connections
  /** Requests that have been begun. */
  readonly begun: readonly Asked[]
  /** Both ends of a new connection. */
  connect(options?: { allowHalfOpen?: boolean }): Promise<{ client: Socket; accepted: Socket }>
  asked(nth: number): Promise<Asked>
}

export async function inServer(
  work: (bench: Bench) => Promise<void>,
  limits: Partial<ConnectionLimits> = {},
  serve: (asked: Asked) => void = () => {},
): Promise<void> {
  const server = createServer()
  const begun: Asked[] = []
  const changed = new EventTarget()
  const connections = new Connections(
    server,
    {
      connectionsMax: 100,
      pipelinedMax: 100,
      pipelinedTotalMax: 1_000,
      answerTimeoutMs: HOUR_MS,
      unsentBytesMax: 2 ** 40,
      arrivingBytesMax: 2 ** 40,
      lingerMs: HOUR_MS,
      ...limits,
    },
    {
      serve(request, response) {
        const answer = (body: string): void => connections.send(request, response, 200, {}, body)
        const asked: Asked = {
          request,
          response,
          answer,
          answerBody: () =>
            void connections.readBody(request, response, 10).then(answer, (error: AtollError) => answer(error.code)),
        }
        begun.push(asked)
        serve(asked)
        changed.dispatchEvent(new Event('begun'))
      },
      refusal: ({ code }) => ({ headers: { 'content-type': 'text/plain' }, body: code }),
    },
  )
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo // it listens on TCP
  const clients: Socket[] = []
  try {
    await work({
      server,
      connections,
      begun,
      async connect(options = {}) {
        const accepting = once(server, 'connection')
        const client = connect({ port, host: '127.0.0.1', ...options })
        clients.push(client.on('error', () => {})) // what is asked is whether it closes
        const [accepted] = (await accepting) as [Socket]
        return { client, accepted }
      },
      async asked(nth) {
        while (begun.length <= nth) await once(changed, 'begun')
        return begun[nth]!
      },
    })
  } finally {
    for (const client of clients) client.destroy()
    server.closeAllConnections()
    server.close()
  }
}

/** All that comes back until the connection is closed. */
export async function read(client: Socket): Promise<string> {
  let text = ''
  client
    .setEncoding('latin1')
    .on('data', (part: string) => (text += part))
    .resume()
  await once(client, 'close')
  return text
}

export const statuses = (text: string): string[] => [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((match) => match[1]!)
/** Lets everything come in that is there. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
}
