import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { GET, inServer, LARGE, read, statuses, turns, type Asked } from '../../test/server.ts'

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
        for (const [count, answered] of [
          [2, 2],
          [20, 20],
          [21, 21],
          [22, 21],
          [200, 21],
        ] as const) {
          const { client } = await connect()
          const requests = Array.from(
            { length: count },
            (_, nth) => `GET /${nth} HTTP/1.1\r\nhost: here\r\n${nth + 1 === count ? 'connection: close\r\n' : ''}\r\n`,
          )
          client.write(requests.join(''))
          const text = await read(client)
          const refused = count > answered ? ['503'] : []
          assert.deepEqual(statuses(text), [...Array<string>(answered).fill('200'), ...refused], String(count))
          assert.deepEqual(
            text.match(/^\/\d+$/gm),
            Array.from({ length: answered }, (_, nth) => `/${nth}`),
          )
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
        for (const host of [
          'here',
          'here:80',
          'here:',
          '127.0.0.1:5600',
          '[::1]:80',
          '[::ffff:1.2.3.4]',
          'my_service.town',
          'xn--mller-kva.example',
          'a%20b',
          '',
        ]) {
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
        for (const [header, status] of [
          ['transfer-encoding: gzip, chunked', '501'],
          ['transfer-encoding: chunked, chunked', '400'],
          ['transfer-encoding: identity, chunked', '501'],
          ['transfer-encoding: gzip', '400'],
          ['expect: 200-ok\r\ncontent-length: 2', '417'],
          ['expect: 100-continue, more\r\ncontent-length: 2', '417'],
        ] as const) {
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
        const head = (length: number): string =>
          `POST / HTTP/1.1\r\nhost: here\r\nexpect: 100-Continue\r\ncontent-length: ${length}\r\n\r\n`
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

  it('hold no request whose body cannot come any more: it is refused in its turn, and the connection ends', async () => {
    const post = 'POST / HTTP/1.1\r\nhost: here\r\n'
    const ways: readonly [string, boolean][] = [
      [`${post}transfer-encoding: chunked\r\n\r\nZZ\r\n`, false],
      [`${post}content-length: 9\r\n\r\n{`, true],
    ]
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
            assert.deepEqual(
              statuses(await text),
              [...Array<string>(before).fill('200'), '400'],
              `${before} before ${unfinished}`,
            )
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
