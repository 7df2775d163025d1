import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inSystem } from '../../../test/system.ts'

describe('the gateway, asked by somebody,', () => {
  it('knows callers by their token, and refuses tokens that are not good', () =>
    inSystem(async ({ send }) => {
      const who = (authorization?: string, url = '/me') => send({ method: 'GET', url, headers: authorization === undefined ? {} : { authorization } })
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

  it('does not refuse a token while nobody can say whether it is good: whoever hears 401 logs out', () =>
    inSystem(async ({ send }) => {
      const { status, json: problem } = await send({ method: 'GET', url: '/me', headers: { authorization: 'Bearer unasked' } })
      assert.deepEqual([status, problem['code']], [503, 'UNAVAILABLE'])
    }))

  it('answers within the deadline, also where nobody says who holds a token', () =>
    inSystem(async ({ send }) => {
      const { status, json: problem } = await send({ method: 'GET', url: '/me', headers: { authorization: 'Bearer stuck' } })
      assert.deepEqual([status, problem['code']], [504, 'DEADLINE_EXCEEDED'])
    }, { limits: { deadlineMs: 20 } }))
})
