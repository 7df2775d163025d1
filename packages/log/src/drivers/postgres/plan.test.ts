import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRecord, createRecords } from '../../conformance/records.ts'
import type { LogRecord } from '../../driver.ts'
import type { Append } from '../shared/group-commit.ts'
import { placeKey, planAppends, streamKey, type Facts } from './plan.ts'

const append = (source: string, ...records: LogRecord[]): Append => ({ source, records, resolve() {}, reject() {} })

/** That streams end there: `['orders', 0, 3]`. With ids as `createRecord` makes them. */
function factsOf(certain: boolean, ...streams: (readonly [string, number, number])[]): Facts {
  const ids = streams.flatMap(([source, partition, last]) =>
    createRecords(source, partition, 1, last).map(
      ({ number, id }) => [placeKey(source, partition, number), id] as const,
    ),
  )
  return {
    certain,
    lasts: new Map(streams.map(([source, partition, last]) => [streamKey(source, partition), last])),
    ids: new Map(certain ? ids : []),
  }
}

const placesOf = (plan: ReturnType<typeof planAppends>): string[] | undefined =>
  plan?.additions.map(({ record }) => record.id)

describe('a plan of appends', () => {
  it('takes what follows on what is remembered, of several appends too', () => {
    const plan = planAppends(
      [append('orders', createRecord('orders', 0, 4)), append('orders', createRecord('orders', 0, 5))],
      factsOf(false, ['orders', 0, 3]),
    )
    assert.deepEqual(placesOf(plan), ['orders/0/4', 'orders/0/5'])
    assert.deepEqual(
      plan?.streams.map(({ last, next }) => [last, next]),
      [[3, 5]],
    )
  })

  it('refuses nothing on the strength of a memory', () => {
    for (const number of [2, 5])
      assert.equal(
        planAppends([append('orders', createRecord('orders', 0, number))], factsOf(false, ['orders', 0, 3])),
        undefined,
      )
    assert.equal(planAppends([append('orders', createRecord('orders', 0, 1))], factsOf(false)), undefined)
  })

  it('adds in one order, whatever the order of the appends, so that no two writers wait for each other in a circle', () => {
    const facts = factsOf(true, ['orders', 0, 0], ['orders', 10, 0], ['orders', 9, 0], ['carts', 0, 0])
    const appends = [
      append('orders', createRecord('orders', 10, 1), createRecord('orders', 9, 1), createRecord('orders', 9, 2)),
      append('carts', createRecord('carts', 0, 1)),
      append('orders', createRecord('orders', 0, 1)),
    ]
    assert.deepEqual(placesOf(planAppends(appends, facts)), [
      'carts/0/1',
      'orders/0/1',
      'orders/9/1',
      'orders/9/2',
      'orders/10/1',
    ])
  })

  it('leaves out all of an append that is refused, and takes what comes after it as if it had not been', () => {
    const refused = append('orders', createRecord('orders', 0, 4), createRecord('orders', 1, 9))
    const plan = planAppends(
      [refused, append('orders', createRecord('orders', 0, 4, { id: 'another' }))],
      factsOf(true, ['orders', 0, 3], ['orders', 1, 0]),
    )
    assert.deepEqual(placesOf(plan), ['another'])
    assert.equal(plan?.refusals.get(refused)?.code, 'LOG_GAP')
  })

  it('ignores repeats, of what is there and of what is being added', () => {
    const plan = planAppends(
      [
        append('orders', ...createRecords('orders', 0, 2, 4), createRecord('orders', 0, 4)),
        append('orders', createRecord('orders', 0, 4)),
      ],
      factsOf(true, ['orders', 0, 3]),
    )
    assert.deepEqual([placesOf(plan), plan?.refusals.size], [['orders/0/4'], 0])
  })

  it('refuses another event under a number that is there, or is being added, and a number whose record is gone', () => {
    const codeFor = (facts: Facts, ...records: LogRecord[]): string | undefined => {
      const asked = append('orders', ...records)
      return planAppends([asked], facts)?.refusals.get(asked)?.code
    }
    const other = (number: number): LogRecord => createRecord('orders', 0, number, { id: 'another' })
    assert.equal(codeFor(factsOf(true, ['orders', 0, 3]), other(2)), 'LOG_DIVERGED')
    assert.equal(codeFor(factsOf(true, ['orders', 0, 3]), createRecord('orders', 0, 4), other(4)), 'LOG_DIVERGED')
    const holed: Facts = { ...factsOf(true, ['orders', 0, 3]), ids: new Map([[placeKey('orders', 0, 2), null]]) }
    assert.equal(codeFor(holed, createRecord('orders', 0, 2)), 'LOG_GAP')
    for (const number of [0, -1, 1.5, NaN])
      assert.equal(codeFor(factsOf(true, ['orders', 0, 3]), createRecord('orders', 0, number)), 'LOG_GAP')
  })
})
