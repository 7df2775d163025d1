import assert from 'node:assert/strict'
import type { Store } from '../driver.ts'
import { outcomesOf, type StoreChapter, type StoreHarness } from './harness.ts'
import { assertCode, assertIds, insert, openItems } from './items.ts'

export const overload: StoreChapter = {
  name: 'overload',
  tests: [
    {
      id: 'overload.up-to',
      promise: 'as many transactions may wait as the driver says',
      async run(driver, harness) {
        const store = await openItems(driver)
        const { accepted } = await writeMany(store, harness, harness.capabilities.writesQueuedMax)
        assert.equal(accepted.length, harness.capabilities.writesQueuedMax)
      },
    },
    {
      id: 'overload.beyond',
      promise: 'more are refused with OVERLOADED; those that were accepted are committed, and nothing of the others',
      async run(driver, harness) {
        const store = await openItems(driver)
        const { accepted, errors } = await writeMany(store, harness, harness.capabilities.writesQueuedMax * 3)
        assert.ok(errors.length > 0, 'three times as many as may wait were accepted')
        for (const error of errors) assertCode('OVERLOADED', error)
        await assertIds(store.reader, accepted)
      },
    },
    {
      id: 'overload.urgent',
      promise: 'an urgent transaction is not refused for how many wait',
      async run(driver, harness) {
        const store = await openItems(driver)
        const many = writeMany(store, harness, harness.capabilities.writesQueuedMax * 3)
        await Promise.all([many, store.write((tx) => insert(tx, 'urgent'), { urgent: true })])
      },
    },
    {
      id: 'overload.over',
      promise: 'a store that was overloaded accepts transactions once it has caught up',
      async run(driver, harness) {
        const store = await openItems(driver)
        const { accepted } = await writeMany(store, harness, harness.capabilities.writesQueuedMax * 3)
        await store.write((tx) => insert(tx, 'then'))
        await assertIds(store.reader, [...accepted, 'then'])
      },
    },
    {
      id: 'overload.alone',
      promise: 'a store that is overloaded does not refuse for another',
      async run(driver, harness) {
        const [orders, stock] = [await openItems(driver, 'orders'), await openItems(driver, 'stock')]
        const many = writeMany(orders, harness, harness.capabilities.writesQueuedMax * 3)
        await stock.write((tx) => insert(tx, 'a'))
        await many
      },
    },
  ],
}

/** Writes so many items at once. Answers which ids were accepted, sorted, and why the others were not. */
async function writeMany(
  store: Store,
  harness: StoreHarness,
  count: number,
): Promise<{ accepted: string[]; errors: unknown[] }> {
  const ids = Array.from({ length: count }, (_, index) => String(index).padStart(6, '0'))
  const outcomes = await outcomesOf(
    harness,
    ids.map((id) => store.write((tx) => insert(tx, id))),
  )
  return {
    accepted: ids.filter((_, index) => outcomes[index]!.ok),
    errors: outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.error])),
  }
}
