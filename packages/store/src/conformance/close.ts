import assert from 'node:assert/strict'
import type { Store } from '../driver.ts'
import { outcomeOf, outcomesOf, type StoreChapter, type StoreTest } from './harness.ts'
import { assertCode, assertIds, assertRefused, insert, openItems } from './items.ts'

/** What every use of a closed store comes to. */
function refusedAfterClose(method: string, use: (store: Store) => Promise<unknown>): StoreTest {
  return {
    id: `close.${method}`,
    promise: `${method} is refused with STORE_CLOSED after close`,
    async run(driver) {
      const store = await openItems(driver)
      await store.close()
      await assertRefused('STORE_CLOSED', use(store))
    },
  }
}

export const close: StoreChapter = {
  name: 'close',
  tests: [
    refusedAfterClose('write', (store) => store.write((tx) => insert(tx, 'late'))),
    refusedAfterClose('get', (store) => store.reader.get({ sql: 'SELECT id FROM items' })),
    refusedAfterClose('all', (store) => store.reader.all({ sql: 'SELECT id FROM items' })),
    {
      id: 'close.at-once',
      promise:
        'a transaction that comes after the call of close is refused with STORE_CLOSED, even while close is waiting',
      async run(driver, harness) {
        const store = await openItems(driver)
        const before = store.write((tx) => insert(tx, 'before'))
        const outcomes = outcomesOf<unknown>(harness, [before, store.close()])
        await assertRefused(
          'STORE_CLOSED',
          store.write((tx) => insert(tx, 'late')),
        )
        assert.deepEqual(
          (await outcomes).map((outcome) => outcome.ok),
          [true, true],
        )
      },
    },
    {
      id: 'close.twice',
      promise: 'closing again does nothing, at once or later, for stores and drivers',
      async run(driver) {
        const store = await openItems(driver)
        await Promise.all([store.close(), store.close()])
        await store.close()
        await Promise.all([driver.close(), driver.close()])
        await driver.close()
      },
    },
    {
      id: 'close.settles-writes',
      promise: 'close waits for the transactions under way: each is settled by then',
      async run(driver) {
        const store = await openItems(driver)
        let settled = 0
        for (const id of ['a', 'b', 'c']) {
          const settle = (): void => void settled++
          store.write((tx) => insert(tx, id)).then(settle, settle)
        }
        await store.close()
        // the reactions to what close settled, and nothing that waits longer
        for (let step = 0; step < 10; step++) await Promise.resolve()
        assert.equal(settled, 3)
      },
    },
    {
      id: 'close.keeps-writes',
      promise: 'a transaction that resolved while its store was being closed is there when it is opened again',
      when: (capabilities) => capabilities.persistent,
      async run(driver, harness) {
        const store = await openItems(driver)
        const writes = outcomesOf(
          harness,
          ['a', 'b', 'c'].map((id) => store.write((tx) => insert(tx, id).then(() => id))),
        )
        await store.close()
        const accepted = (await writes).flatMap((outcome) => (outcome.ok ? [outcome.value] : []))
        await assertIds((await openItems(driver)).reader, accepted)
      },
    },
    {
      id: 'close.read-under-way',
      promise: 'a read under way while its store is closed is answered, or refused with STORE_CLOSED',
      async run(driver, harness) {
        const store = await openItems(driver)
        const writing = store.write((tx) => insert(tx, 'a'))
        const reading = store.reader.all({ sql: 'SELECT id FROM items' })
        const [, , outcome] = await outcomesOf<unknown>(harness, [writing, store.close(), reading])
        if (!outcome!.ok) assertCode('STORE_CLOSED', outcome!.error)
      },
    },
    {
      id: 'close.one',
      promise: 'closing a store leaves the others open',
      async run(driver) {
        const [orders, stock] = [await openItems(driver, 'orders'), await openItems(driver, 'stock')]
        await orders.close()
        await stock.write((tx) => insert(tx, 'a'))
        await assertIds(stock.reader, ['a'])
      },
    },
    {
      id: 'close.driver',
      promise: 'closing the driver closes its stores, after their transactions under way',
      async run(driver, harness) {
        const stores = [await openItems(driver, 'orders'), await openItems(driver, 'stock')]
        const writes = outcomesOf(
          harness,
          stores.map((store) => store.write((tx) => insert(tx, 'a'))),
        )
        assert.ok((await outcomeOf(harness, driver.close())).ok)
        assert.deepEqual(
          (await writes).map((outcome) => outcome.ok),
          [true, true],
        )
        for (const store of stores)
          await assertRefused(
            'STORE_CLOSED',
            store.write((tx) => insert(tx, 'late')),
          )
      },
    },
    {
      id: 'close.driver-readers',
      promise: 'closing the driver closes its readers: later reads are refused with STORE_CLOSED',
      async run(driver) {
        await openItems(driver, 'orders')
        await driver.open('stock', { '0001-shelves': 'CREATE TABLE shelves (id TEXT PRIMARY KEY)' })
        const reader = driver.openReader(['orders', 'stock'])
        await driver.close()
        await assertRefused('STORE_CLOSED', reader.all({ sql: 'SELECT id FROM items' }))
      },
    },
  ],
}
