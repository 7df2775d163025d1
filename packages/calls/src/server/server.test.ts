import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import { until } from '@atoll/engines/waiting'
import { AtollError } from '@atoll/host'
import { inNetwork, type Playing } from '../../test/network.ts'

const secret = 'a secret of the library'

function post(
  { instance }: Playing,
  path: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(instance.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  })
}

async function codeOf(response: Promise<Response>): Promise<string> {
  return ((await (await response).json()) as { code: string }).code
}

describe('the server for calls', () => {
  it('lets in who knows the secret, and nobody else', () =>
    inNetwork(async ({ play, client }) => {
      const server = await play(() => ({}), { secret })
      await client([server.instance], {}, secret).dispatch('shelf.put', { input: {} })
      await assert.rejects(
        client([server.instance], {}, 'another secret of 16').dispatch('shelf.put', { input: {} }),
        /UNAVAILABLE: .*the secret for calls is missing or wrong/,
      )
      for (const authorization of ['', secret, `bearer ${secret}`, `Bearer ${secret} `.repeat(2)])
        assert.equal(await codeOf(post(server, '/call/shelf.put', '{}', { authorization })), 'UNAUTHENTICATED')
      assert.equal(server.received.length, 1)
    }))

  it('does not listen without a secret, unless that was given up by name, and then on loopback alone', () =>
    inNetwork(async ({ play }) => {
      await assert.rejects(
        play(() => ({}), { trustEveryLocalAccount: false }),
        /CONFIG_INVALID: .*every program on this machine.*ATOLL_CALLS_SECRET.*--trust-every-local-account/,
      )
      const open = await play(() => ({}), { trustEveryLocalAccount: true })
      await assert.rejects(open.server.listen({ port: 0, host: '0.0.0.0' }), /CONFIG_INVALID: .*ATOLL_CALLS_SECRET/)
    }))

  it('takes no secret that is short, or that a header cannot carry', () =>
    inNetwork(async ({ play }) => {
      await assert.rejects(
        play(() => ({}), { secret: 'short' }),
        /CONFIG_INVALID: the secret for calls has 5 characters/,
      )
      for (const secret of ['sixteen or more …', 'a line and its end\n', ' sixteen or more '])
        await assert.rejects(
          play(() => ({}), { secret }),
          /CONFIG_INVALID: the secret for calls has characters that a header cannot carry/,
        )
    }))

  it('lets strangers do nothing, in the name of nobody: no call, no verb of operators, whatever they send', () =>
    inNetwork(async ({ play }) => {
      const asked: string[] = []
      const server = await play(() => ({}), {
        secret,
        async *admin(verb) {
          asked.push(verb)
        },
      })
      const call = JSON.stringify({
        system: 'library',
        remainingMs: 5_000,
        input: {},
        caller: { id: 'ann', claims: {} },
      })
      for (const path of [
        '/call/shelf.put',
        '/call/shelf.look',
        '/call/nothing',
        '/admin/redrive',
        '/admin/replay',
        '/admin/',
        '/nowhere',
      ]) {
        for (const authorization of ['', 'Bearer ', `Basic ${secret}`, `Bearer ${secret.slice(0, -1)}`]) {
          assert.equal(
            (await post(server, path, call, authorization === '' ? {} : { authorization })).status,
            401,
            path,
          )
        }
      }
      assert.deepEqual([server.received, asked], [[], []])
    }))

  it('takes nothing from web pages', () =>
    inNetwork(async ({ play }) => {
      const server = await play(() => ({}))
      assert.equal(await codeOf(post(server, '/call/shelf.put', '{}', { origin: 'http://evil.example' })), 'FORBIDDEN')
      assert.equal(
        await codeOf(post(server, '/call/shelf.put', '{}', { 'content-type': 'text/plain' })),
        'UNSUPPORTED_MEDIA_TYPE',
      )
      assert.equal(server.received.length, 0)
    }))

  it('refuses what is no call, too large, for another system, or for a service that is not here, before anything begins', () =>
    inNetwork(async ({ play, client }) => {
      const server = await play(() => ({}), { limits: { bodyBytesMax: 1_000 } })
      const call = { system: 'library', remainingMs: 1_000, input: {} }
      const sent = (body: unknown, operation = 'shelf.put'): Promise<string> =>
        codeOf(post(server, `/call/${operation}`, typeof body === 'string' ? body : JSON.stringify(body)))
      assert.deepEqual(
        await Promise.all([
          sent('{'),
          sent('[]'),
          sent({}),
          sent({ ...call, remainingMs: 'much' }),
          sent({ ...call, caller: { id: 7 } }),
          sent({ ...call, position: { a: 1 } }),
          sent({ ...call, trace: 1 }),
        ]),
        Array.from({ length: 7 }, () => 'MALFORMED'),
      )
      assert.deepEqual(
        await Promise.all([
          sent({ ...call, input: 'x'.repeat(1_000) }),
          sent({ ...call, system: 'other' }),
          sent(call, 'desk.read'),
          sent(call, 'desk.eat'),
        ]),
        ['BODY_TOO_LARGE', 'UNAVAILABLE', 'UNAVAILABLE', 'NOT_FOUND'],
      )
      assert.equal(await codeOf(post(server, '/admin/redrive', '{}')), 'NOT_FOUND')
      assert.equal(server.received.length, 0)
      await assert.rejects(client([server.instance]).dispatch('shelf.put', { input: 'x'.repeat(1_000) }), {
        code: 'BODY_TOO_LARGE',
      })
    }))

  it('refuses a call that is too large, and one that is packed, before it is sent', () =>
    inNetwork(async ({ play }) => {
      const server = await play(() => ({}), { limits: { bodyBytesMax: 1_000 } })
      for (const [headers, status] of [
        ['content-length: 5000', 413],
        ['transfer-encoding: gzip, chunked', 501],
      ] as const) {
        const socket = connect(Number(new URL(server.instance.url).port), '127.0.0.1').setEncoding('latin1')
        socket.write(
          `POST /call/shelf.put HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n${headers}\r\n\r\n`,
        )
        let text = ''
        for await (const part of socket) text += String(part)
        assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `), headers)
      }
      assert.equal(server.received.length, 0)
    }))

  it('sends no answer that its callers would not take, and is not taken for broken', () =>
    inNetwork(async ({ play, playSocket, client }) => {
      const answer = { output: { text: 'x'.repeat(100_000) } }
      const careful = await play(() => answer, { limits: { answerBytesMax: 1_000 } })
      let careless = 0
      const { url, id } = await playSocket((socket, text) => {
        careless += Number(text.startsWith('POST'))
        socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 100000\r\n\r\n${'x'.repeat(100_000)}`)
      })
      const asked = client([careful.instance])
      for (let nth = 0; nth < 5; nth++)
        await assert.rejects(asked.dispatch('shelf.look', { input: {} }), { code: 'ANSWER_TOO_LARGE', details: {} })
      await assert.rejects(asked.dispatch('shelf.put', { input: {} }), {
        code: 'ANSWER_TOO_LARGE',
        details: { effect: 'done' },
      })
      const short = client([{ url, id }], { answerBytesMax: 500, lostInARowMax: 1 })
      for (let nth = 0; nth < 5; nth++)
        await assert.rejects(short.dispatch('shelf.put', { input: {} }), {
          code: 'ANSWER_TOO_LARGE',
          details: { effect: 'unknown' },
        })
      assert.deepEqual([careful.received.length, careless], [6, 5])
    }))

  it('tells its services how much their callers take, so that what cannot be answered is not done', () =>
    inNetwork(async ({ play, client }) => {
      const refuse = (): never => {
        throw new AtollError('ANSWER_TOO_LARGE', 'it was not done', { details: { effect: 'none' } })
      }
      const server = await play(refuse, { limits: { answerBytesMax: 3_000 } })
      for (const [limits, answerBytesMax] of [
        [{}, undefined],
        [{ answerBytesMax: 2_000 }, undefined],
        [{ answerBytesMax: 2_000 }, 1_000],
      ] as const) {
        await assert.rejects(client([server.instance], limits).dispatch('shelf.put', { input: {}, answerBytesMax }), {
          code: 'ANSWER_TOO_LARGE',
          details: { effect: 'none' },
        })
      }
      assert.deepEqual(
        server.received.map(({ answerBytesMax }) => answerBytesMax),
        [3_000, 2_000, 1_000],
      )
    }))

  it('says whether it is ready to anybody who asks, and why not to those who know the secret', () =>
    inNetwork(async ({ play }) => {
      const server = await play(() => ({}), { secret })
      const asked = async (path: string, headers = {}): Promise<unknown> => {
        const response = await fetch(server.instance.url + path, { headers })
        return [response.status, await response.json()]
      }
      assert.deepEqual(await asked('/livez'), [200, { live: true }])
      const known = { authorization: `Bearer ${secret}` }
      assert.deepEqual(await asked('/readyz'), [200, { ready: true, system: 'library' }])
      assert.deepEqual(await asked('/readyz', known), [
        200,
        { ready: true, system: 'library', reasons: [], services: ['shelf'] },
      ])
      server.isReady = false
      assert.deepEqual(await asked('/readyz'), [503, { ready: false, system: 'library' }])
      assert.deepEqual(await asked('/readyz', known), [
        503,
        { ready: false, system: 'library', reasons: ['it is not: nobody is at 10.0.0.9'], services: ['shelf'] },
      ])
      server.isReady = true
      server.server.refuse()
      assert.deepEqual(await asked('/readyz', known), [
        503,
        { ready: false, system: 'library', reasons: ['it is stopping'], services: ['shelf'] },
      ])
    }))

  it('lets calls under way end when it stops, and refuses others by name', () =>
    inNetwork(async ({ play, client }) => {
      let release = (): void => {}
      const server = await play(() => new Promise((resolve) => (release = () => resolve({ output: { text: 'done' } }))))
      const call = client([server.instance]).dispatch('shelf.put', { input: {} })
      await until('it has come', () => server.received.length === 1)
      server.server.refuse()
      await assert.rejects(
        client([server.instance]).dispatch('shelf.put', { input: {} }),
        /UNAVAILABLE: .*this instance is stopping\. It had no effect/,
      )
      const closed = server.server.close()
      release()
      assert.deepEqual((await call).output, { text: 'done' })
      await closed
      await assert.rejects(fetch(`${server.instance.url}/livez`))
    }))

  it('gives operators a line for each item, and the error at the end', () =>
    inNetwork(async ({ play }) => {
      const server = await play(() => ({}), {
        async *admin(verb, body) {
          yield { verb, body }
          throw new AtollError('UNAVAILABLE', 'not here')
        },
      })
      const lines = (await (await post(server, '/admin/redrive', '{"id":"x"}')).text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown)
      assert.deepEqual(lines, [
        { item: { verb: 'redrive', body: { id: 'x' } } },
        { error: { code: 'UNAVAILABLE', message: 'not here' } },
      ])
    }))

  it('gives operators as many lines as there are, however slowly they read, and keeps nothing of those that are read', () =>
    inNetwork(async ({ play }) => {
      const warnings: Error[] = []
      const note = (warning: Error): void => void warnings.push(warning)
      process.on('warning', note)
      const line = 'x'.repeat(2 ** 20) // more than may wait: each of them waits for the one before
      const server = await play(() => ({}), {
        async *admin() {
          for (let nth = 0; nth < 20; nth++) yield line
        },
      })
      assert.equal(
        (await (await post(server, '/admin/list', '{}')).text()).split('\n').filter((text) => text.includes(line))
          .length,
        20,
      )
      await new Promise(setImmediate) // Node.js warns in a turn of its own
      process.off('warning', note)
      assert.deepEqual(warnings, [])
    }))

  it('tells a failed handler from a refusal, whatever its answer is made of', () =>
    inNetwork(async ({ play, client, logged }) => {
      const server = await play(() => ({ output: 1n })) // which JSON does not know
      await assert.rejects(client([server.instance]).dispatch('shelf.put', { input: {} }), { code: 'INTERNAL' })
      assert.ok(logged.some(({ message }) => message === 'call failed: INTERNAL'))
    }))
})
