import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createNodeHost } from '@atoll/host/node'
import { PositionMemory } from './position-memory.ts'

const position = (seq: number) => ({ notes: { 0: String(seq) } })

function createMemory(entriesMax: number, ageMsMax = 1_000) {
  const clock = { ms: 0 }
  const memory = new PositionMemory({ ...createNodeHost(), monotonicMs: () => clock.ms }, entriesMax, ageMsMax)
  return { memory, clock }
}

describe('the memory of positions', () => {
  it('forgets those first who have neither written nor read for the longest time', () => {
    const { memory } = createMemory(3)
    for (const name of ['ann', 'ben', 'cleo']) memory.remember(name, position(1))
    memory.recall('ann') // reads
    memory.remember('ben', position(2)) // writes
    memory.remember('dora', position(3))
    assert.deepEqual(
      ['ann', 'ben', 'cleo', 'dora'].map((name) => memory.recall(name)),
      [position(1), { notes: { 0: '2-1' } }, undefined, position(3)],
    )
  })

  it('forgets what is old, however often it is asked for', () => {
    const { memory, clock } = createMemory(3)
    memory.remember('ann', position(1))
    clock.ms = 1_000
    assert.deepEqual(memory.recall('ann'), position(1))
    clock.ms = 1_001
    assert.equal(memory.recall('ann'), undefined)
  })

  it('keeps the furthest of what somebody has seen', () => {
    const { memory } = createMemory(3)
    for (const seq of [2, 10, 9]) memory.remember('ann', position(seq))
    assert.deepEqual(
      memory.recall('ann'),
      { notes: { 0: '10-9-2' } },
      'and what came before it, which may wait for another try',
    )
  })
})
