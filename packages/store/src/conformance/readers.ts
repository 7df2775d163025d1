import assert from 'node:assert/strict'
import type { Store, StoreDriver } from '../driver.ts'
import type { StoreChapter } from './harness.ts'
import { assertIds, assertRefused, insert, openItems } from './items.ts'

export const readers: StoreChapter = {
  name: 'readers over several stores',
  tests: [
    {
      id: 'readers.each',
      promise: 'one reader finds the tables of each of its stores',
      async run(driver) {
        await openPrices(driver)
        const orders = await openItems(driver)
        await orders.write((tx) => insert(tx, 'a'))
        const reader = driver.openReader(['orders', 'prices'])
        await assertIds(reader, ['a'])
        assert.deepEqual(
          (await reader.all<{ item: string }>({ sql: 'SELECT item FROM prices' })).map((row) => row.item),
          ['a'],
        )
      },
    },
    {
      id: 'readers.first',
      promise: "a table of the runtime's, which every store has, means that of the first store",
      async run(driver) {
        for (const name of ['orders', 'stock']) {
          const store = await driver.open(name, { 'atoll-0001-notes': 'CREATE TABLE atoll_notes (text TEXT)' })
          await store.write((tx) => tx.run({ sql: 'INSERT INTO atoll_notes (text) VALUES (?)' }, [name]))
        }
        for (const names of [
          ['orders', 'stock'],
          ['stock', 'orders'],
        ]) {
          assert.equal(
            (await driver.openReader(names).get<{ text: string }>({ sql: 'SELECT text FROM atoll_notes' }))?.text,
            names[0],
          )
        }
      },
    },
    {
      id: 'readers.twins',
      promise:
        'stores that have a table of one name are refused with DEFINITION_INVALID, because one of them would never be seen',
      async run(driver) {
        for (const name of ['orders', 'stock']) await openItems(driver, name)
        await assertRefused('DEFINITION_INVALID', (async () => driver.openReader(['orders', 'stock']))())
      },
    },
    {
      id: 'readers.joins',
      promise: 'a query may join tables of several stores',
      async run(driver) {
        await openPrices(driver)
        await (await openItems(driver)).write((tx) => insert(tx, 'a', 'b'))
        const join = { sql: 'SELECT items.id, prices.cents FROM items JOIN prices ON prices.item = items.id' }
        const rows = await driver.openReader(['orders', 'prices']).all<{ id: string; cents: number }>(join)
        assert.deepEqual(
          rows.map(({ id, cents }) => [id, cents]),
          [['a', 5]],
        )
      },
    },
    {
      id: 'readers.current',
      promise: 'a reader that was opened before a commit sees it afterwards',
      async run(driver) {
        const [orders, reader] = [await openItems(driver), driver.openReader(['orders'])]
        await assertIds(reader, [])
        await orders.write((tx) => insert(tx, 'a'))
        await assertIds(reader, ['a'])
      },
    },
    {
      id: 'readers.closed-alone',
      promise: 'closing a reader closes neither its stores nor other readers, and twice is once',
      async run(driver) {
        const [orders, first, second] = [
          await openItems(driver),
          driver.openReader(['orders']),
          driver.openReader(['orders']),
        ]
        await first.close()
        await first.close()
        await assertRefused('STORE_CLOSED', first.all({ sql: 'SELECT id FROM items' }))
        await orders.write((tx) => insert(tx, 'a'))
        await assertIds(second, ['a'])
        await assertIds(orders.reader, ['a'])
      },
    },
    {
      id: 'readers.not-open',
      promise: 'a reader over a store that is not open is refused with STORE_CLOSED',
      async run(driver) {
        await openItems(driver)
        await assertRefused('STORE_CLOSED', (async () => driver.openReader(['orders', 'stock']))())
      },
    },
  ],
}

/** A store with another table, and a row in it. */
async function openPrices(driver: StoreDriver): Promise<Store> {
  const store = await driver.open('prices', {
    '0001-prices': 'CREATE TABLE prices (item TEXT PRIMARY KEY, cents BIGINT)',
  })
  await store.write((tx) => tx.run({ sql: 'INSERT INTO prices (item, cents) VALUES (?, ?)' }, ['a', 5]))
  return store
}
