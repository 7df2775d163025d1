import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Heap } from './heap.ts'

describe('a heap', () => {
  it('gives what was added in order, in whatever order it came, also while more comes', () => {
    for (let count = 0; count < 40; count++) {
      const heap = new Heap<number>((a, b) => a < b)
      const numbers = Array.from({ length: count }, (_, nth) => (nth * 17 + count) % 23) // some of them twice
      const taken: number[] = []
      for (const [nth, number] of numbers.entries()) {
        heap.push(number)
        assert.equal(heap.first, Math.min(...numbers.slice(0, nth + 1)))
      }
      while (heap.first !== undefined) taken.push(heap.take()!)
      assert.deepEqual(
        taken,
        [...numbers].sort((a, b) => a - b),
      )
      for (const number of numbers) {
        heap.push(number)
        heap.push(number + 100)
        assert.equal(heap.take(), number)
      }
      assert.deepEqual(
        numbers.map(() => heap.take()),
        numbers.map((number) => number + 100).sort((a, b) => a - b),
      )
    }
  })

  it('is empty before anything comes, and when it is cleared', () => {
    const heap = new Heap<number>((a, b) => a < b)
    assert.deepEqual([heap.first, heap.take()], [undefined, undefined])
    for (const number of [3, 1, 2]) heap.push(number)
    heap.clear()
    assert.deepEqual([heap.first, heap.take()], [undefined, undefined])
  })
})
