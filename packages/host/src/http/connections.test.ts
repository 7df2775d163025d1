import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { Connections, type ConnectionLimits } from './connections.ts'

/** Far longer than a test may take. */
const HOUR_MS = 3_600_000
/** More than the two kernels on the way take. */
const LARGE = `${'x'.repeat(16 * 2 ** 20)}\n`
const GET = 'GET / HTTP/1.1\r\nhost: here\r\n\r\n'

interface Asked {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  answer(body: string): void
}

interface Bench {
  readonly server: Server
  readonly connections: Connections
  /** Requests that have been begun. */
  readonly begun: readonly Asked[]
  /** Both ends of a new connection. */
  connect(options?: { allowHalfOpen?: boolean }): Promise<{ client: Socket; accepted: Socket }>
  asked(nth: number): Promise<Asked>
}

async function inServer(work: (bench: Bench) => Promise<void>, limits: Partial<ConnectionLimits> = {}, serve: (asked: Asked) => void = () => {}): Promise<void> {
  const server = createServer()
  const begun: Asked[] = []
  const changed = new EventTarget()
  const connections = new Connections(server, { connectionsMax: 100, pipelinedMax: 100, answerTimeoutMs: HOUR_MS, unsentBytesMax: 2 ** 40, lingerMs: HOUR_MS, ...limits }, {
    serve(request, response) {
      const asked: Asked = { request, response, answer: (body) => connections.send(request, response, 200, {}, body) }
      begun.push(asked)
      serve(asked)
      changed.dispatchEvent(new Event('begun'))
    },
    refusal: ({ code }) => ({ type: 'text/plain', body: code }),
  })
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
async function read(client: Socket): Promise<string> {
  let text = ''
  client.setEncoding('latin1').on('data', (part: string) => (text += part)).resume()
  await once(client, 'close')
  return text
}

const statuses = (text: string): string[] => [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((match) => match[1]!)

describe('the connections of a server', () => {
  it('are closed after a refusal, also where the client never closes its half', () =>
    inServer(
      async ({ connect }) => {
        const { client, accepted } = await connect({ allowHalfOpen: true })
        const closed = once(accepted, 'close')
        client.resume().write('this is not HTTP\r\n\r\n')
        await once(client, 'end')
        await closed
      },
      { lingerMs: 1 },
    ))

  it('begin a request when the client has taken the answer to the one before', () =>
    inServer(
      async ({ connect, asked, begun }) => {
        const { client } = await connect()
        client.pause().write(GET.repeat(4))
        await asked(0)
        await turns()
        assert.equal(begun.length, 1)
        const text = read(client)
        await asked(3)
        client.end()
        assert.deepEqual(statuses(await text), ['200', '200', '200', '200'])
      },
      {},
      ({ answer }) => answer(LARGE),
    ))

  it('are closed when more requests wait on one of them than may', () =>
    inServer(
      async ({ connect, begun }) => {
        const { client, accepted } = await connect()
        const closed = once(accepted, 'close')
        client.resume().write(GET.repeat(4))
        await closed
        assert.equal(begun.length, 1)
      },
      { pipelinedMax: 2 },
    ))

  it('are closed when the client takes nothing of its answer', () =>
    inServer(
      async ({ connect }) => {
        const { client, accepted } = await connect()
        const closed = once(accepted, 'close')
        client.pause().write(GET)
        await closed
      },
      { answerTimeoutMs: 10 },
      ({ answer }) => answer(LARGE),
    ))

  it('wait for an answer that is not ready, however long nothing moves', () =>
    inServer(
      async ({ connect, asked, server }) => {
        const { client } = await connect()
        const quiet = once(server, 'timeout')
        client.write(GET)
        const { answer } = await asked(0)
        await quiet
        const text = read(client)
        answer('late')
        client.end()
        assert.match(await text, /late$/)
      },
      { answerTimeoutMs: 10 },
    ))

  it('that have waited longest are closed when clients leave too much unread', () =>
    inServer(
      async ({ connect, asked }) => {
        const both = [await connect(), await connect()]
        const closed = once(both[0]!.accepted, 'close')
        for (const [nth, { client }] of both.entries()) {
          client.pause().write(GET)
          await asked(nth)
        }
        await closed
        assert.equal(both[1]!.accepted.destroyed, false)
      },
      { unsentBytesMax: LARGE.length * 1.5 },
      ({ answer }) => answer(LARGE),
    ))

  it('hear the answers to what came before a request that is refused, in their order', () =>
    inServer(
      async ({ connect, asked }) => {
        const { client } = await connect()
        const text = read(client)
        client.write(`${GET}this is not HTTP\r\n\r\n`)
        const { answer } = await asked(0)
        answer('first')
        assert.match(await text, /^HTTP\/1\.1 200 OK[^]*firstHTTP\/1\.1 400 MALFORMED/)
      },
      { lingerMs: 1 },
    ))

  it('give a client the answer that refuses its body, while it still sends that', () =>
    inServer(
      async ({ connect }) => {
        const { client } = await connect()
        let failure: Error | undefined
        client.on('error', (error) => (failure = error))
        let text = ''
        client.setEncoding('latin1').on('data', (part: string) => (text += part))
        client.write(`POST / HTTP/1.1\r\nhost: here\r\ncontent-length: ${LARGE.length}\r\n\r\n`)
        while (!text.endsWith('too large')) await once(client, 'data')
        client.write(LARGE)
        await once(client, 'close')
        assert.equal(failure, undefined)
        assert.match(text, /connection: close/)
      },
      {},
      ({ answer }) => answer('too large'),
    ))
})

describe('a server that is closed', () => {
  it('is so at once where nothing was ever asked on any connection', () =>
    inServer(
      async ({ connections, connect }) => {
        const { client } = await connect()
        const ended = once(client.resume(), 'close')
        await connections.close(HOUR_MS)
        await ended
      },
      { lingerMs: 0 },
    ))

  it('answers a request that is on its way, and says that it was the last', () =>
    inServer(
      async ({ connections, connect, asked }) => {
        const { client } = await connect()
        const text = read(client)
        client.write(GET)
        ;(await asked(0)).answer('first')
        await once(client, 'data')
        const closed = connections.close(HOUR_MS)
        await turns()
        client.write(GET)
        ;(await asked(1)).answer('second')
        assert.match(await text, /connection: keep-alive[^]*first[^]*connection: close[^]*second/i)
        await closed
      },
    ))

  it('answers what is under way first, also after one that asked nothing', () =>
    inServer(
      async ({ connections, connect, asked }) => {
        await connect()
        const { client } = await connect()
        const text = read(client)
        client.write(GET)
        const { answer } = await asked(0)
        const closed = connections.close(HOUR_MS)
        answer('the answer')
        await closed
        assert.match(await text, /the answer/)
      },
      { lingerMs: 0 },
    ))

  it('answers all that had come', () =>
    inServer(
      async ({ connections, connect, asked }) => {
        const { client } = await connect()
        const text = read(client)
        client.write(GET + GET)
        const first = await asked(0)
        const closed = connections.close(HOUR_MS)
        first.answer('one')
        ;(await asked(1)).answer('two')
        await closed
        assert.match(await text, /one[^]*two/)
      },
      { lingerMs: 0 },
    ))

  it('cuts off what is not answered in time', () =>
    inServer(async ({ connections, connect, asked }) => {
      const { client } = await connect()
      client.write(GET)
      await asked(0)
      const ended = once(client.resume(), 'close')
      await connections.close(1)
      await ended
    }))
})

/** Lets everything come in that is there. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
}
