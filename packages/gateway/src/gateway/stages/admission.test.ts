import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { inSystem } from '../../../test/system.ts'

const json = { 'content-type': 'application/json' }

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
      const put: ReturnType<typeof send>[] = []
      for (const { promise } of bodies) {
        put.push(send({ method: 'PUT', url: '/echo/1', headers: json, body: promise }))
        await turn()
      }
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

  it('refuses no request that has a place and its body because others came meanwhile', () =>
    inSystem(async ({ send, slow }) => {
      await slow(async (release) => {
        const put = send({ method: 'PUT', url: '/echo/1', headers: json, body: '{"text":"x","more":"y"}' })
        const held = Array.from({ length: 5 }, () => send({ method: 'GET', url: '/held' }))
        assert.equal((await put).status, 200)
        release()
        assert.deepEqual(
          (await Promise.all(held)).map(({ status }) => status),
          [200, 200, 200, 200, 503],
        )
      })
    }))
})
