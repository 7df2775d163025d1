import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inSystem } from '../../../test/system.ts'

describe('the gateway', () => {
  it('keeps the id and the trace of a request that brings them, if they are sane', () =>
    inSystem(async ({ send }) => {
      const id = async (header: string) => (await send({ method: 'GET', url: '/count', headers: { 'x-request-id': header } })).headers['x-request-id']
      assert.equal(await id('order-17.a'), 'order-17.a')
      assert.notEqual(await id('two words'), 'two words')
      assert.notEqual(await id('x'.repeat(65)), 'x'.repeat(65))
    }))
})
