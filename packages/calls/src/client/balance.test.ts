import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createNodeHost } from '@atoll/host/node'
import { choose } from './balance.ts'

const free = { isOut: false, isFull: false }

describe('balancing', () => {
  it('spreads calls evenly over instances that answer alike', () => {
    const host = createNodeHost()
    const instances = Array.from({ length: 4 }, () => ({ ...free, inFlight: 0, calls: 0 }))
    for (let call = 0; call < 4_000; call++) {
      const chosen = choose(instances, host)!
      chosen.calls++
      chosen.inFlight++
      if (call % 8 === 7) for (const instance of instances) instance.inFlight = 0
    }
    for (const { calls } of instances)
      assert.ok(calls > 800 && calls < 1_200, instances.map((instance) => instance.calls).join())
  })

  it('sends little to an instance that does not answer', () => {
    const host = createNodeHost()
    const [hung, good] = [
      { ...free, inFlight: 0 },
      { ...free, inFlight: 0 },
    ]
    for (let call = 0; call < 1_000; call++) if (choose([hung, good], host) === hung) hung.inFlight++
    assert.equal(hung.inFlight <= 1, true)
  })

  it('passes over instances that are left out or full', () => {
    const host = createNodeHost()
    const good = { ...free, inFlight: 99 }
    for (let call = 0; call < 50; call++)
      assert.equal(
        choose([{ ...free, isOut: true, inFlight: 0 }, good, { ...free, isFull: true, inFlight: 0 }], host),
        good,
      )
    assert.equal(choose([{ ...free, isOut: true, inFlight: 0 }], host), undefined)
    assert.equal(choose([], host), undefined)
  })
})
