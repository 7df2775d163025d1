import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import type { AtollError } from '../error.ts'
import { Connections, type ConnectionLimits } from './connections.ts'

/** Far longer than a test may take. */
const HOUR_MS = 3_600_000
/** More than the two kernels on the way take. */
const LARGE = `${'x'.repeat(16 * 2 ** 20)}\n`
const POST = (bytes: number): string => `POST / HTTP/1.1\r\nhost: here\r\ncontent-length: ${bytes}\r\n\r\n`
const GET = 'GET / HTTP/1.1\r\nhost: here\r\n\r\n'

interface Asked {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  answer(body: string): void
  /** Answers with its body, of ten bytes at the most, or with the code for it. */
  answerBody(): void
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
  const connections = new Connections(server, { connectionsMax: 100, pipelinedMax: 100, pipelinedTotalMax: 1_000, answerTimeoutMs: HOUR_MS, unsentBytesMax: 2 ** 40, arrivingBytesMax: 2 ** 40, lingerMs: HOUR_MS, ...limits }, {
    serve(request, response) {
      const answer = (body: string): void => connections.send(request, response, 200, {}, body)
      const asked: Asked = { request, response, answer, answerBody: () => void connections.readBody(request, response, 10).then(answer, (error: AtollError) => answer(error.code)) }
      begun.push(asked)
      serve(asked)
      changed.dispatchEvent(new Event('begun'))
    },
    refusal: ({ code }) => ({ headers: { 'content-type': 'text/plain' }, body: code }),
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

  it('answer as many requests of one packet as may wait, in their order, then say that it was one too many, and end', () =>
    inServer(
      async ({ connect }) => {
        for (const [count, answered] of [[2, 2], [20, 20], [21, 21], [22, 21], [200, 21]] as const) {
          const { client } = await connect()
          const requests = Array.from({ length: count }, (_, nth) => `GET /${nth} HTTP/1.1\r\nhost: here\r\n${nth + 1 === count ? 'connection: close\r\n' : ''}\r\n`)
          client.write(requests.join(''))
          const text = await read(client)
          const refused = count > answered ? ['503'] : []
          assert.deepEqual(statuses(text), [...Array<string>(answered).fill('200'), ...refused], String(count))
          assert.deepEqual(text.match(/^\/\d+$/gm), Array.from({ length: answered }, (_, nth) => `/${nth}`))
        }
      },
      { pipelinedMax: 20, lingerMs: 1 },
      ({ request, answer }) => setImmediate(() => answer(`${request.url}\n`)), // every request has one
    ))

  it('answer a request that stands alone before those that wait in the packet of another connection, however many they are', () =>
    inServer(
      async ({ connect, begun, asked }) => {
        const [crowd, single] = [await connect(), await connect()]
        crowd.client.resume().write(GET.repeat(50)) // both lie in the kernel before the server reads either
        single.client.resume().write(GET)
        await asked(50)
        const place = begun.findIndex(({ request }) => request.socket === single.accepted)
        assert.ok(place >= 0 && place < 10, `it came after ${place} others`)
      },
      {},
      ({ answer }) => answer('here'),
    ))

  it('read nothing that comes behind a request that is refused, also while those before it wait for their answers', () =>
    inServer(async ({ server, connect, asked }) => {
      let parsed = 0
      server.on('request', () => parsed++)
      const { client, accepted } = await connect()
      const refused = GET.replace('host: here', 'host: here\r\nhost: there')
      client.write(GET + refused)
      const { answer } = await asked(0)
      client.write(GET.repeat(50))
      await turns()
      assert.equal(accepted.bytesRead, (GET + refused).length)
      const text = read(client)
      answer('first\n')
      client.end()
      assert.deepEqual(statuses(await text), ['200', '400'])
      assert.equal(parsed, 2)
    }))

  it('refuse a Host that names none, and take every one that does', () =>
    inServer(
      async ({ connect, begun }) => {
        for (const host of ['a b', 'a/b', 'a@b', 'a:b', 'a:1:2', '[::1', '"a"', 'a,b c', 'm\u00fcller']) {
          const { client } = await connect()
          client.write(`GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`)
          assert.deepEqual(statuses(await read(client)), ['400'], host)
        }
        assert.equal(begun.length, 0)
        for (const host of ['here', 'here:80', 'here:', '127.0.0.1:5600', '[::1]:80', '[::ffff:1.2.3.4]', 'my_service.town', 'xn--mller-kva.example', 'a%20b', '']) {
          const { client } = await connect()
          client.end(`GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`)
          assert.deepEqual(statuses(await read(client)), ['200'], host)
        }
      },
      { lingerMs: 1 },
      ({ answer }) => answer('served'),
    ))

  it('refuse codings of a body that are not understood, which would be read packed, and expectations that nobody knows', () =>
    inServer(
      async ({ connect, begun }) => {
        for (const [header, status] of [['transfer-encoding: gzip, chunked', '501'], ['transfer-encoding: chunked, chunked', '400'], ['transfer-encoding: identity, chunked', '501'], ['transfer-encoding: gzip', '400'], ['expect: 200-ok\r\ncontent-length: 2', '417'], ['expect: 100-continue, more\r\ncontent-length: 2', '417']] as const) {
          const { client } = await connect()
          client.write(`POST / HTTP/1.1\r\nhost: here\r\n${header}\r\n\r\n`)
          assert.deepEqual(statuses(await read(client)), [status], header)
        }
        assert.equal(begun.length, 0)
        const { client } = await connect()
        client.end('POST / HTTP/1.1\r\nhost: here\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n')
        assert.deepEqual(statuses(await read(client)), ['200'])
      },
      { lingerMs: 1 },
      ({ answerBody }) => answerBody(),
    ))

  it('let a client hold its body back until it is wanted, and hear at once where it is not', () =>
    inServer(
      async ({ connect, begun }) => {
        const head = (length: number): string => `POST / HTTP/1.1\r\nhost: here\r\nexpect: 100-Continue\r\ncontent-length: ${length}\r\n\r\n`
        const { client } = await connect()
        client.write(head(5))
        const [first] = (await once(client, 'data')) as [Buffer]
        assert.match(String(first), /^HTTP\/1\.1 100 /)
        client.end('12345')
        assert.match(await read(client), /^HTTP\/1\.1 200 [^]*12345$/)
        const large = await connect()
        large.client.write(head(11))
        assert.match(await read(large.client), /^HTTP\/1\.1 200 [^]*BODY_TOO_LARGE$/, 'without a 100 before it')
        assert.equal(begun.length, 2)
      },
      { lingerMs: 1 },
      ({ answerBody }) => answerBody(),
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

  const ways = [
    ['', GET, ''],
    [', also where it asked more often than it may', GET.repeat(30), ''],
    [', also where its body ends behind the answer', POST(1), '1'],
  ] as const
  for (const [what, asked, more] of ways) {
    it(`are closed when the client takes nothing of its answer, however much it sends meanwhile${what}`, () =>
      inServer(
        async (bench) => {
          const { client, accepted } = await bench.connect()
          const closed = once(accepted, 'close')
          client.pause().write(asked)
          const { answer } = await bench.asked(0)
          answer(LARGE)
          client.write(more)
          const sending = setInterval(() => client.write('\r\n'), 5) // between requests these are allowed
          await closed
          clearInterval(sending)
        },
        { answerTimeoutMs: 200, pipelinedMax: 10 },
      ))
  }

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

  it('make place for a new client where there is none: the one that has been idle longest is closed, and nobody who waits for an answer', () =>
    inServer(
      async ({ connect, asked, begun }) => {
        const [busy, idle, later] = [await connect(), await connect(), await connect()]
        busy.client.write(GET)
        await asked(0)
        const fresh = await connect()
        assert.deepEqual([busy, idle, later, fresh].map(({ accepted }) => accepted.destroyed), [false, true, false, false])
        for (const [nth, { client }] of [later, fresh].entries()) {
          client.write(GET)
          await asked(nth + 1)
        }
        assert.equal((await connect()).accepted.destroyed, true, 'all are busy')
        begun[1]!.answer('here')
        await once(begun[1]!.response, 'close')
        assert.equal((await connect()).accepted.destroyed, false)
        assert.equal(later.accepted.destroyed, true, 'it was idle again')
      },
      { connectionsMax: 3 },
    ))

  it('make place for a new client also where clients never end their bodies, and for none of those whose body has come', () =>
    inServer(
      async ({ connect, asked }) => {
        const [whole, first, second] = [await connect(), await connect(), await connect()]
        for (const [nth, { client }] of [whole, first, second].entries()) {
          client.write(POST(2) + (client === whole.client ? '{}' : '{'))
          const { request, answerBody } = await asked(nth)
          if (client !== whole.client) answerBody()
          else while (!request.complete) await turns()
        }
        const fresh = await connect()
        assert.deepEqual([whole, first, second, fresh].map(({ accepted }) => accepted.destroyed), [false, true, false, false])
        second.client.write('}')
        assert.match(String(await once(second.client, 'data')), /{}$/)
        fresh.client.write(GET)
        await asked(3)
        assert.deepEqual([whole, second].map(({ accepted }) => accepted.destroyed), [false, false])
      },
      { connectionsMax: 3 },
    ))

  it('make place for a new client also where clients read nothing of their answers', () =>
    inServer(
      async ({ connect, asked }) => {
        const [waiting, unread] = [await connect(), await connect()]
        waiting.client.write(GET)
        await asked(0)
        unread.client.pause().write(GET)
        const { answer } = await asked(1)
        answer(LARGE)
        const fresh = await connect()
        assert.deepEqual([waiting, unread, fresh].map(({ accepted }) => accepted.destroyed), [false, true, false])
      },
      { connectionsMax: 2 },
    ))

  it('make place for a new client also where clients owe the rest of a body that was refused', () =>
    inServer(
      async ({ connect, asked }) => {
        const [waiting, owing] = [await connect(), await connect()]
        waiting.client.write(GET)
        await asked(0)
        owing.client.resume().write(`${POST(9).replace('POST', 'HEAD')}1`) // whose answer leaves at once
        ;(await asked(1)).answer('no')
        const fresh = await connect()
        assert.deepEqual([waiting, owing, fresh].map(({ accepted }) => accepted.destroyed), [false, true, false])
      },
      { connectionsMax: 2 },
    ))

  it('wait for no body whose client has gone before it was asked for', () =>
    inServer(async ({ connections, connect, asked }) => {
      const { client, accepted } = await connect()
      client.write(`${POST(9)}1`)
      const { request, response } = await asked(0)
      client.destroy()
      await once(accepted, 'close')
      await assert.rejects(connections.readBody(request, response, 10), { code: 'CANCELLED' })
    }))

  it('refuse the body that has been arriving longest when too much is, and go on with the others', () =>
    inServer(
      async ({ connect, asked }) => {
        const [long, short] = [await connect(), await connect()]
        for (const [nth, { client }] of [long, short].entries()) {
          client.write(`${POST(10)}12345`)
          await asked(nth)
        }
        const refused = read(long.client)
        short.client.write('67890')
        assert.match(String(await once(short.client, 'data')), /1234567890$/)
        assert.match(await refused, /OVERLOADED$/)
      },
      { arrivingBytesMax: 10, lingerMs: 1 },
      ({ answerBody }) => answerBody(),
    ))

  it('take a body in whatever pieces it comes, and count what is kept of it, not what came before', () =>
    inServer(
      async ({ connect }) => {
        const { client } = await connect()
        const chunked = 'POST / HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n'
        const inPieces = (text: string): string => `${[...text].map((letter) => `1\r\n${letter}\r\n`).join('')}0\r\n\r\n`
        for (let nth = 0; nth < 5; nth++) {
          client.write(`${chunked}\r\n${inPieces('0123456789')}`)
          assert.match(String(await once(client, 'data')), /0123456789$/)
        }
        client.end(`${chunked}connection: close\r\n\r\n${inPieces('0123456789a')}`)
        assert.match(await read(client), /BODY_TOO_LARGE$/)
      },
      { arrivingBytesMax: 16, lingerMs: 1 },
      ({ answerBody }) => answerBody(),
    ))

  it('of which requests have waited longest are closed when too many wait over all of them', () =>
    inServer(
      async ({ connect, asked }) => {
        const [first, second, single] = [await connect(), await connect(), await connect()]
        for (const [nth, { client, accepted }] of [first, single, second].entries()) {
          const sent = client === single.client ? GET : GET.repeat(3)
          client.write(sent)
          await asked(nth)
          while (accepted.bytesRead < sent.length) await turns()
        }
        assert.deepEqual([first, single, second].map(({ accepted }) => accepted.destroyed), [true, false, false])
      },
      { pipelinedTotalMax: 3 },
    ))

  it('are not closed for what waits there where each is answered soon, but those on which a request waits for long', () =>
    inServer(
      async ({ connect, asked, begun }) => {
        const [steady, stalled, third] = [await connect(), await connect(), await connect()]
        const send = async ({ client, accepted }: typeof steady, text: string): Promise<void> => {
          const bytes = accepted.bytesRead + text.length
          client.write(text)
          while (accepted.bytesRead < bytes) await turns()
        }
        await send(steady, GET.repeat(3))
        await send(stalled, GET.repeat(2))
        begun[0]!.answer('soon')
        await asked(2)
        await send(steady, GET)
        await send(third, GET.repeat(2))
        assert.deepEqual([steady, stalled, third].map(({ accepted }) => accepted.destroyed), [false, true, false])
      },
      { pipelinedTotalMax: 3 },
    ))

  it('hold no request whose body cannot come any more: it is refused in its turn, and the connection ends', async () => {
    const post = 'POST / HTTP/1.1\r\nhost: here\r\n'
    const ways: readonly [string, boolean][] = [[`${post}transfer-encoding: chunked\r\n\r\nZZ\r\n`, false], [`${post}content-length: 9\r\n\r\n{`, true]]
    for (const [unfinished, isHalfClosed] of ways) {
      for (const before of [0, 1, 3]) {
        let held: Asked | undefined
        await inServer(
          async ({ server, connect }) => {
            const { client } = await connect()
            const failed = once(server, 'clientError')
            client.write(GET.repeat(before) + unfinished)
            if (isHalfClosed) client.end()
            const text = read(client)
            await failed
            held?.answer('first\n')
            assert.deepEqual(statuses(await text), [...Array<string>(before).fill('200'), '400'], `${before} before ${unfinished}`)
          },
          { lingerMs: 1 },
          (asked) => {
            if (held !== undefined) asked.answer('another\n')
            else if (asked.request.method === 'GET') held = asked // until the last one has failed
          },
        )
      }
    }
  })

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

  it('lets an answer that is on its way come through, however long that takes, and closes when it is taken', () =>
    inServer(
      async ({ server, connections, connect, asked }) => {
        server.keepAliveTimeout = HOUR_MS
        const [slow, idle] = [await connect(), await connect()]
        slow.client.pause().write(GET)
        ;(await asked(0)).answer(LARGE)
        const idleClosed = once(idle.accepted, 'close')
        const closed = connections.close(HOUR_MS)
        await idleClosed
        await turns()
        assert.ok((await read(slow.client)).endsWith(LARGE))
        await closed
      },
      { lingerMs: 1 },
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
