import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, Server } from 'node:net'
import { networkInterfaces } from 'node:os'
import { describe, it, mock } from 'node:test'
import { AtollError, silentLogger, type LogFields } from '@atoll/host'
import { inSystem, type Bench } from '../../test/system.ts'
import type { GatewayResponse } from './exchange.ts'
import { Listener } from './listener.ts'
import { defaultLimits } from './options.ts'

/** Sends bytes as they are, and resolves with all that came back until the connection was closed. */
async function talk(url: string, ...parts: readonly string[]): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1').on('data', (text: string) => (answer += text))
  socket.on('error', () => {}) // the other end may close while we still send
  await once(socket, 'connect')
  for (const part of parts) socket.write(part)
  await once(socket, 'close')
  return answer
}

const listening = (work: (url: string, bench: Bench) => Promise<void>, limits = {}): Promise<void> =>
  inSystem(async (bench) => work((await bench.gateway.listen({ port: 0 })).url, bench), { limits })

const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((one) => one?.address === '::1')

const statuses = (answer: string): string[] => [...answer.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((match) => match[1]!)

describe('the listener', () => {
  it('refuses headers over the limit, and closes', () =>
    listening(async (url) => {
      assert.deepEqual(
        statuses(await talk(url, `GET /count HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`)),
        ['431'],
      )
    }))

  it('refuses a client that takes too long over its headers or its body, and closes', () =>
    listening(
      async (url) => {
        assert.deepEqual(statuses(await talk(url, 'GET /count HTTP/1.1\r\nHost: x\r\n')), ['408'])
        assert.ok(
          statuses(
            await talk(
              url,
              'POST /notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"te',
            ),
          ).includes('408'),
        )
      },
      { headersTimeoutMs: 200, requestTimeoutMs: 200 },
    ))

  it('takes a time for whole requests that is shorter than the default for headers', () =>
    listening(async (url) => assert.deepEqual(statuses(await talk(url, 'GET /count HTTP/1.1\r\n')), ['408']), {
      requestTimeoutMs: 200,
    }))

  it('closes the connection of a client that was too slow, also if that never closes its half', () =>
    listening(
      async (url) => {
        const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true }).resume()
        await once(socket, 'end')
        const closed = new Promise((resolve) => socket.on('error', () => {}).once('close', resolve)) // it is reset
        const nudge = (): void => void (socket.destroyed || socket.write('\r\n', () => setImmediate(nudge)))
        nudge()
        await closed
      },
      { headersTimeoutMs: 50, lingerMs: 1 },
    ))

  it('refuses bytes that are not UTF-8, which would become other letters', () =>
    listening(async (url) => {
      const answer = await fetch(`${url}/notes`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: Buffer.from('{"text":"caf\xe9"}', 'latin1'),
      })
      assert.deepEqual([answer.status, ((await answer.json()) as { code: string }).code], [400, 'MALFORMED'])
    }))

  it('refuses requests that two readers could understand differently', () =>
    listening(async (url) => {
      const head = 'POST /notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
      const requests = [
        `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
        `${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}   `,
        `${head}Content-Length: +5\r\n\r\n{}   `,
        `${head}Content-Length : 5\r\n\r\n{}   `,
        `${head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
        `${head}host: y\r\n\r\n`,
        `${head}Authorization: Bearer good-ann\r\nauthorization: Bearer good-ben\r\n\r\n`,
        `${head}CONTENT-TYPE: text/plain\r\nContent-Length: 2\r\n\r\n{}`,
        'POST /notes HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        'GET /count HTTP/2.0\r\nHost: x\r\n\r\n',
        'GET /count HTTP/0.9\r\nHost: x\r\n\r\n',
      ]
      for (const request of requests)
        assert.deepEqual(statuses(await talk(url, request, 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')), ['400'], request)
    }))

  it('refuses a body before it is sent, where its client waits to be told to send it', () =>
    listening(async (url) => {
      const head = 'POST /notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n'
      for (const [headers, status] of [
        ['Content-Length: 5000', '413'],
        ['Content-Length: 10\r\nContent-Encoding: gzip', '415'],
        ['Transfer-Encoding: gzip, chunked', '501'],
      ] as const) {
        assert.deepEqual(statuses(await talk(url, `${head}${headers}\r\n\r\n`)), [status], headers)
      }
      assert.deepEqual(
        statuses(await talk(url, `${head}Content-Length: 15\r\nConnection: close\r\n\r\n{"text":"note"}`)),
        ['100', '201'],
      )
    }))

  it('stops reading a body that is over the limit, and answers nothing that comes behind it', () =>
    listening(async (url) => {
      const head = 'POST /notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
      const behind = 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'
      assert.deepEqual(statuses(await talk(url, `${head}Content-Length: 5000\r\n\r\n${'x'.repeat(5_000)}`, behind)), [
        '413',
      ])
      const chunk = `400\r\n${'x'.repeat(1_024)}\r\n`
      assert.deepEqual(
        statuses(await talk(url, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk}`, chunk, '0\r\n\r\n', behind)),
        ['413'],
      )
    }))

  it('says when to try again to a client that sends more at once than may wait', () =>
    listening(
      async (url) =>
        assert.match(
          await talk(url, 'GET /count HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(5)),
          /HTTP\/1\.1 503 OVERLOADED\r\n(?:[^\r]+\r\n)*retry-after: 1\r\n/,
        ),
      { pipelinedMax: 1 },
    ))

  it('sends versions that HTTP has no letters for', () =>
    listening(async (url) => {
      assert.match((await fetch(`${url}/labels/${encodeURIComponent('☕')}`)).headers.get('etag')!, /^"%E2%98%95;/)
    }))

  it('answers 500 when an answer cannot be sent, logs why, and goes on', async () => {
    const answers: Readonly<Record<string, () => Promise<GatewayResponse>>> = {
      '/rejects': () => Promise.reject(new Error('handle rejected')),
      '/header': async () => ({ status: 200, headers: { etag: '"☕"', 'x-request-id': 'r1' }, body: '{}' }),
      '/header-of-304': async () => ({ status: 304, headers: { etag: '"☕"' }, body: undefined }),
      '/status': async () => ({ status: 42, headers: {}, body: undefined }),
      '/well': async () => ({ status: 200, headers: {}, body: '{}' }),
    }
    const logged: LogFields[] = []
    const listener = new Listener(
      defaultLimits,
      { ...silentLogger, error: (fields) => void logged.push(fields) },
      ({ url }) => answers[url]!(),
    )
    const { url } = await listener.listen(0, '127.0.0.1')
    try {
      for (const path of ['/rejects', '/header', '/header-of-304', '/status']) {
        const answer = await fetch(url + path)
        const problem = (await answer.json()) as { code: string; requestId: string }
        assert.deepEqual(
          [answer.status, answer.headers.get('content-type'), problem.code],
          [500, 'application/problem+json; charset=utf-8', 'INTERNAL'],
          path,
        )
        assert.equal(problem.requestId, path === '/header' ? 'r1' : 'none')
      }
      assert.deepEqual(
        logged.map(({ requestId, error }) => [requestId, error instanceof AtollError]),
        [
          ['none', true],
          ['r1', true],
          ['none', true],
          ['none', true],
        ],
      )
      assert.equal((await fetch(`${url}/well`)).status, 200)
    } finally {
      await listener.close(0)
    }
  })

  it('goes on when not even its logger works', async () => {
    const broken = {
      ...silentLogger,
      error: () => {
        throw new Error('no log')
      },
    }
    const listener = new Listener(defaultLimits, broken, ({ url }) =>
      url === '/well' ? Promise.resolve({ status: 200, headers: {}, body: '{}' }) : Promise.reject(new Error('broken')),
    )
    const { url } = await listener.listen(0, '127.0.0.1')
    try {
      await fetch(`${url}/ill`).catch(() => undefined) // an answer or none: both will do
      assert.equal((await fetch(`${url}/well`)).status, 200)
    } finally {
      await listener.close(0)
    }
  })

  it('says that its port is taken', () =>
    listening((url) =>
      inSystem(async ({ gateway }) => {
        const { port } = new URL(url)
        await assert.rejects(gateway.listen({ port: Number(port) }), { code: 'PORT_TAKEN', message: new RegExp(port) })
      }),
    ))

  it('says that this account may not take a port, and how another one is chosen', () =>
    inSystem(async ({ gateway }) => {
      const listen = mock.method(Server.prototype, 'listen', function (this: Server) {
        // as every other account than root hears it
        process.nextTick(() => this.emit('error', Object.assign(new Error('listen EACCES'), { code: 'EACCES' })))
        return this
      })
      try {
        await assert.rejects(
          gateway.listen({ port: 80 }),
          (error: Error) =>
            /127\.0\.0\.1:80: EACCES; choose a port that this account may take, .*--port, or PORT/.test(
              error.message,
            ) && !/gateway\.host/.test(error.message),
        )
      } finally {
        listen.mock.restore()
      }
    }))

  it('says which address it cannot listen at, and which setting that is', () =>
    inSystem(({ gateway }) =>
      assert.rejects(gateway.listen({ port: 0, host: '203.0.113.7' }), {
        code: 'CONFIG_INVALID',
        message: /203\.0\.113\.7:0: EADDRNOTAVAIL.*gateway\.host/,
      }),
    ))

  it('says that a number is no port, and which setting that is', () =>
    inSystem(async ({ gateway }) => {
      for (const port of [99_999, -1, 1.5, NaN])
        await assert.rejects(gateway.listen({ port, host: '127.0.0.1' }), {
          code: 'CONFIG_INVALID',
          message: new RegExp(`127\\.0\\.0\\.1:${port}: .*0 to 65535.*PORT`),
        })
    }))

  it('names an address of IPv6 as a URL does', { skip: hasIpv6 ? false : 'this machine has no IPv6' }, () =>
    inSystem(async ({ gateway }) => {
      const { url } = await gateway.listen({ port: 0, host: '::1' })
      assert.equal((await fetch(`${url}/livez`)).status, 200)
    }),
  )

  it('drains: lets what is under way end, and takes nothing more', () =>
    listening(async (url, { gateway, slow }) => {
      await slow(async (release) => {
        const held = fetch(`${url}/held`)
        await underWay(url)
        const closed = gateway.close({ drainMs: 5_000 })
        await assert.rejects(fetch(`${url}/livez`))
        release()
        const answer = await held
        assert.deepEqual([answer.status, answer.headers.get('connection')], [200, 'close'])
        await closed
      })
    }))

  it('tells the operation when its client goes away', () =>
    listening(async (url, { slow, logged }) => {
      await slow(async (release) => {
        const client = new AbortController()
        const gone = assert.rejects(fetch(`${url}/held`, { signal: client.signal }))
        await underWay(url)
        client.abort()
        await gone
        release()
        assert.equal((await fetch(`${url}/livez`)).status, 200)
        assert.deepEqual(
          logged.filter(({ message }) => message.includes('INTERNAL')),
          [],
        )
      })
    }))
})

/** Resolves when requests that were sent before have arrived: this one comes after them on the same loop. */
async function underWay(url: string): Promise<void> {
  await fetch(`${url}/livez`)
}
