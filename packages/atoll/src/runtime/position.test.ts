import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodePosition, emptyPosition, encodePosition, mergePositions, type Position } from './position.ts'

describe('positions', () => {
  it('merge to the later of both, per source and partition, and stay as they were', () => {
    const a = { orders: { 0: '9', 1: '5' }, users: { 0: '3' } }
    const b = { orders: { 0: '10', 2: '7' }, stock: { 4: '1' } }
    const merged = { orders: { 0: '10-9', 1: '5', 2: '7' }, users: { 0: '3' }, stock: { 4: '1' } }
    assert.deepEqual(mergePositions(a, b), merged)
    assert.deepEqual(mergePositions(b, a), merged)
    assert.deepEqual(
      [a, b],
      [
        { orders: { 0: '9', 1: '5' }, users: { 0: '3' } },
        { orders: { 0: '10', 2: '7' }, stock: { 4: '1' } },
      ],
    )
    assert.equal(mergePositions(a, emptyPosition), a)
    assert.equal(mergePositions(emptyPosition, b), b)
  })

  it('keep the last few of somebody, because an earlier one may wait for another try', () => {
    const seen = ['1', '2', '3', '4', '5', '6']
      .map((order) => ({ orders: { 0: order } }))
      .reduce<Position>(mergePositions, emptyPosition)
    assert.deepEqual(seen, { orders: { 0: '6-5-4-3' } })
    assert.equal(mergePositions(seen, { orders: { 0: '5' } })['orders'], seen['orders'], 'nothing new, nothing made')
  })

  it('are the same after a journey as text', () => {
    const position = { orders: { 0: '10-9-2', 15: '7' }, users: { 3: '3' } }
    assert.deepEqual(decodePosition(encodePosition(position)), position)
    assert.deepEqual(decodePosition(''), {})
  })

  it('are not read from text that is none, and never touch what is on every object', () => {
    for (const text of [
      'orders',
      'orders.0',
      'orders.x.1',
      'orders.0.1,',
      'Orders.0.1',
      `orders.0.${'1'.repeat(61)}`,
      'orders.0.1-',
      'orders.0.5-4-3-2-1',
    ])
      assert.equal(decodePosition(text), undefined, text)
    const position = decodePosition('constructor.7.boo')!
    mergePositions(mergePositions({ constructor: { 8: '1' } }, position), position)
    assert.equal((Object as unknown as Record<number, unknown>)[7], undefined)
  })
})
