import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import type { Caller } from 'atoll'
import { watchStrays } from '../../../test/strays.ts'
import { inSystem } from '../../../test/system.ts'
import { createGateway } from '../gateway.ts'
import type { GatewayOptions } from '../options.ts'

describe('the gateway, asked by somebody,', () => {
  it('knows callers by their token, and refuses tokens that are not good', () =>
    inSystem(async ({ send }) => {
      const who = (authorization?: string, url = '/me') =>
        send({ method: 'GET', url, headers: authorization === undefined ? {} : { authorization } })
      assert.deepEqual((await who('Bearer good-ann')).json, { id: 'ann' })
      assert.deepEqual((await who('Token good-ann')).json, { id: 'ann' })
      for (const header of [undefined, 'Bearer bad', 'Basic YTpi', 'Bearer', 'good-ann', 'Bearer broken']) {
        const { status, headers } = await who(header)
        assert.deepEqual([status, headers['www-authenticate']], [401, 'Bearer'], String(header))
      }
      assert.deepEqual((await who(undefined, '/maybe')).json, { id: 'nobody' })
      assert.deepEqual((await who('Bearer good-ann', '/maybe')).json, { id: 'ann' })
      assert.equal((await who('Bearer bad', '/maybe')).status, 401, 'a bad token is not the same as none')
    }))

  it('refuses a token on which `authenticate` throws at once, and takes who it knows at once', async () => {
    const who: Readonly<Record<string, Caller>> = { good: { id: 'ann', claims: {} } }
    // as JavaScript lets one write it
    const atOnce = ((token: string) => who[token] ?? JSON.parse(token)) as unknown as GatewayOptions['authenticate']
    await inSystem(async ({ running }) => {
      const gateway = createGateway(running, { host: createNodeHost(), logger: silentLogger, authenticate: atOnce })
      const ask = async (token: string) =>
        (
          await gateway.handle({
            method: 'GET',
            url: '/me',
            headers: { authorization: `Bearer ${token}` },
            address: '127.0.0.1',
            body: async () => '',
            signal: () => undefined,
          })
        ).status
      assert.deepEqual([await ask('good'), await ask('{'), await ask('null')], [200, 401, 401])
    })
  })

  it('tells of a rejection that `authenticate` leaves and nobody awaits, and goes on', () => {
    const watch = watchStrays()
    return inSystem(
      async ({ send, logged }) => {
        assert.equal(
          (await send({ method: 'GET', url: '/me', headers: { authorization: 'Bearer good-ann' } })).status,
          200,
        )
        assert.deepEqual(
          logged.map(({ fields }) => [fields['handling'], String(fields['error'])]),
          [['authenticate', 'AtollError: INTERNAL: left']],
        )
      },
      {
        attribution: watch.attribution,
        authenticate: async (token) => (watch.stray('left'), { id: token, claims: {} }),
      },
    )
  })

  it('does not refuse a token while nobody can say whether it is good: whoever hears 401 logs out', () =>
    inSystem(async ({ send }) => {
      const { status, json: problem } = await send({
        method: 'GET',
        url: '/me',
        headers: { authorization: 'Bearer unasked' },
      })
      assert.deepEqual([status, problem['code']], [503, 'UNAVAILABLE'])
    }))

  it('answers within the deadline, also where nobody says who holds a token', () =>
    inSystem(
      async ({ send }) => {
        const { status, json: problem } = await send({
          method: 'GET',
          url: '/me',
          headers: { authorization: 'Bearer stuck' },
        })
        assert.deepEqual([status, problem['code']], [504, 'DEADLINE_EXCEEDED'])
      },
      { limits: { deadlineMs: 20 } },
    ))
})
