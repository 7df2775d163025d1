import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ReadAhead } from './ahead.ts'
import type { Chunk } from './format.ts'

function chunk(from: number, bytes: number): Chunk {
  return {
    from,
    next: from + 10,
    records: [],
    places: [],
    epoch: 0,
    producerId: -1n,
    producerEpoch: -1,
    bytes,
    hasForeign: false,
  }
}

describe('what is read ahead', () => {
  it('is found by every offset at which a reader stopped in it', () => {
    const ahead = new ReadAhead(100)
    const kept = chunk(0, 50)
    ahead.add('topic', 0, 0, kept)
    ahead.add('topic', 0, 4, kept)
    assert.deepEqual(
      [
        ahead.find('topic', 0, 0),
        ahead.find('topic', 0, 4),
        ahead.find('topic', 0, 5),
        ahead.find('topic', 1, 0),
        ahead.find('other', 0, 0),
      ],
      [kept, kept, undefined, undefined, undefined],
    )
  })

  it('stays within its bound, and lets go of what was used longest ago', () => {
    const ahead = new ReadAhead(100)
    ahead.add('topic', 0, 0, chunk(0, 50))
    ahead.add('topic', 0, 10, chunk(10, 50))
    ahead.find('topic', 0, 0)
    ahead.add('topic', 0, 20, chunk(20, 50))
    assert.deepEqual(
      [0, 10, 20].map((offset) => ahead.find('topic', 0, offset) !== undefined),
      [true, false, true],
    )
  })

  it('counts what is found by several offsets once', () => {
    const ahead = new ReadAhead(100)
    const kept = chunk(0, 50)
    for (const offset of [0, 1, 2, 3]) ahead.add('topic', 0, offset, kept)
    ahead.add('topic', 0, 10, chunk(10, 50))
    assert.ok(ahead.find('topic', 0, 3) && ahead.find('topic', 0, 10))
  })

  it('keeps nothing if it may not', () => {
    const ahead = new ReadAhead(0)
    ahead.add('topic', 0, 0, chunk(0, 50))
    assert.equal(ahead.find('topic', 0, 0), undefined)
  })
})
