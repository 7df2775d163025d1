import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inSystem } from '../../../test/system.ts'

describe('the gateway', () => {
  it('refuses what is over its limit of requests before any work is done', () =>
    inSystem(async ({ send, slow }) => {
      await slow(async (release) => {
        const held = Array.from({ length: 5 }, () => send({ method: 'GET', url: '/held' }))
        const { status, json: problem, headers } = await send({ method: 'GET', url: '/held' })
        assert.deepEqual([status, problem['code'], headers['retry-after']], [503, 'OVERLOADED', '1'])
        release()
        for (const answer of await Promise.all(held)) assert.equal(answer.status, 200)
      })
    }))

  it('keeps no place for a request whose body does not come, and gives it one when it has', () =>
    inSystem(async ({ send, slow }) => {
      const bodies = Array.from({ length: 6 }, () => Promise.withResolvers<string>())
      const put = bodies.map(({ promise }) => send({ method: 'PUT', url: '/echo/1', headers: { 'content-type': 'application/json' }, body: promise }))
      const [first, ...others] = bodies
      await slow(async (release) => {
        const held = Array.from({ length: 5 }, () => send({ method: 'GET', url: '/held' }))
        first!.resolve('{}')
        const { status, json: problem } = await put[0]!
        assert.deepEqual([status, problem['code']], [503, 'OVERLOADED'])
        release()
        for (const answer of await Promise.all(held)) assert.equal(answer.status, 200)
      })
      for (const { resolve } of others) resolve('{}')
      for (const { status } of (await Promise.all(put)).slice(1)) assert.equal(status, 422) // no text in it
    }))
})
