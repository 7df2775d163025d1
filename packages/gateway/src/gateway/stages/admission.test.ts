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
})
