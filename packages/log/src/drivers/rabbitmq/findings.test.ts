import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { aboutPolicies, aboutReplicas, leastReplicas } from './findings.ts'

const stream = (name: string, replicas: number, policy: Record<string, unknown> = {}) => ({ name, replicas, policy })

describe('an examination of RabbitMQ', () => {
  it('says how many replicas the stream with the fewest has, and which have too few', () => {
    const managed = { nodes: 3, streams: [stream('atoll/shop/orders/0', 3), stream('atoll/shop/orders/1', 2)] }
    assert.equal(leastReplicas(managed), 2)
    const { verdict, value, message } = aboutReplicas(managed)
    assert.deepEqual([verdict, value], ['note', '2'])
    assert.match(message, /atoll\/shop\/orders\/1/)
    assert.equal(aboutReplicas({ nodes: 3, streams: managed.streams.slice(0, 1) }).verdict, 'holds')
  })

  it('counts nodes where there is no stream yet', () => {
    assert.equal(aboutReplicas({ nodes: 3, streams: [] }).verdict, 'holds')
    assert.equal(aboutReplicas({ nodes: 1, streams: [] }).verdict, 'note')
  })

  it('finds policies that delete events', () => {
    for (const policy of [{ 'max-age': '7D' }, { 'max-length-bytes': 1_000 }])
      assert.equal(aboutPolicies({ nodes: 1, streams: [stream('atoll/shop/orders/0', 1, policy)] }).verdict, 'breaks')
    assert.equal(aboutPolicies({ nodes: 1, streams: [stream('atoll/shop/orders/0', 1)] }).verdict, 'holds')
  })

  it('does not know what it is not told, and says how to tell', () => {
    for (const about of [aboutReplicas, aboutPolicies]) {
      const { verdict, message } = about('nobody is named')
      assert.equal(verdict, 'unknown')
      assert.match(message, /nobody is named/)
    }
  })
})
