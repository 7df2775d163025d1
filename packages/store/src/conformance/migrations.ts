import assert from 'node:assert/strict'
import type { StoreDriver } from '../driver.ts'
import type { StoreChapter } from './harness.ts'
import { assertIds, assertRefused, insert, itemsMigrations, openItems } from './items.ts'

const later = { '0002-more': `INSERT INTO items (id) VALUES ('by migration')` }
const broken = {
  '0002-more': `INSERT INTO items (id) VALUES ('by migration')`,
  '0003-broken': 'INSERT INTO nowhere (id) VALUES (1)',
}

/** Opens a store, writes a row and closes it: the next opening is an upgrade. */
async function leaveItems(driver: StoreDriver): Promise<void> {
  const store = await openItems(driver)
  await store.write((tx) => insert(tx, 'a'))
  await store.close()
}

export const migrations: StoreChapter = {
  name: 'migrations',
  tests: [
    {
      id: 'migration.in-order',
      promise: 'migrations are applied in the order in which they are given',
      async run(driver) {
        const store = await driver.open('orders', {
          '0002-z': itemsMigrations['0001-items'],
          '0001-a': later['0002-more'],
        })
        await assertIds(store.reader, ['by migration'])
      },
    },
    {
      id: 'migration.several-statements',
      promise: 'a migration may hold several statements',
      async run(driver) {
        const store = await driver.open('orders', {
          '0001-all': `${itemsMigrations['0001-items']}; ${later['0002-more']};`,
        })
        await assertIds(store.reader, ['by migration'])
      },
    },
    {
      id: 'migration.none',
      promise: 'a store without migrations opens',
      async run(driver) {
        const store = await driver.open('orders', {})
        assert.equal(store.name, 'orders')
        assert.equal(await store.write(async () => 'written'), 'written')
      },
    },
    {
      id: 'migration.once',
      promise: 'a migration is applied once, however often its store is opened',
      when: (capabilities) => capabilities.persistent,
      async run(driver) {
        const all = { ...itemsMigrations, '0002-more': `INSERT INTO items (id) SELECT 'row ' || count(*) FROM items` }
        await (await driver.open('orders', all)).close()
        const store = await driver.open('orders', all)
        await assertIds(store.reader, ['row 0'])
      },
    },
    {
      id: 'migration.later',
      promise: 'a store that is opened again gets the migrations that it lacks, and keeps what it has',
      when: (capabilities) => capabilities.persistent,
      async run(driver) {
        await leaveItems(driver)
        const store = await driver.open('orders', { ...itemsMigrations, ...later })
        await assertIds(store.reader, ['a', 'by migration'])
      },
    },
    {
      id: 'migration.failed',
      promise: 'a migration that fails is refused with MIGRATION_FAILED, and the store can be opened with a better one',
      async run(driver) {
        await assertRefused('MIGRATION_FAILED', driver.open('orders', { ...itemsMigrations, ...broken }))
        const store = await driver.open('orders', { ...itemsMigrations, ...later })
        await assertIds(store.reader, ['by migration'])
      },
    },
    {
      id: 'migration.all-or-nothing',
      promise: 'if one of several migrations fails, none of them is applied',
      when: (capabilities) => capabilities.persistent,
      async run(driver) {
        await leaveItems(driver)
        await assertRefused('MIGRATION_FAILED', driver.open('orders', { ...itemsMigrations, ...broken }))
        await assertIds((await openItems(driver)).reader, ['a'])
      },
    },
    {
      id: 'migration.changed',
      promise:
        'a migration whose text differs from what was applied is refused with MIGRATION_CHANGED, before anything is touched',
      when: (capabilities) => capabilities.persistent,
      async run(driver) {
        await leaveItems(driver)
        const changed = { '0001-items': `${itemsMigrations['0001-items']} `, ...later }
        await assertRefused('MIGRATION_CHANGED', driver.open('orders', changed))
        await assertIds((await openItems(driver)).reader, ['a'])
      },
    },
    {
      id: 'migration.out-of-order',
      promise:
        'a new migration that comes before one which was applied is refused with MIGRATION_OUT_OF_ORDER, before anything is touched; one of the runtime is not, and neither is one that comes last',
      when: (capabilities) => capabilities.persistent,
      async run(driver) {
        await (await driver.open('orders', { ...itemsMigrations, ...later })).close()
        const between = { ...itemsMigrations, '0001-merged': `INSERT INTO items (id) VALUES ('merged')`, ...later }
        await assertRefused('MIGRATION_OUT_OF_ORDER', driver.open('orders', between))
        await assertRefused(
          'MIGRATION_OUT_OF_ORDER',
          driver.open('orders', { '0000-first': 'DELETE FROM items', ...itemsMigrations, ...later }),
        )
        const store = await driver.open('orders', {
          'atoll-0009-more': `INSERT INTO items (id) VALUES ('of the runtime')`,
          ...itemsMigrations,
          ...later,
          '0003-last': `INSERT INTO items (id) VALUES ('last')`,
        })
        await assertIds(store.reader, ['by migration', 'last', 'of the runtime'])
      },
    },
    {
      id: 'migration.own-tables',
      promise:
        "a migration that makes, changes or drops what is the runtime's, atoll_…, is refused with MIGRATION_FAILED; one of the runtime is not",
      async run(driver) {
        const runtime = { 'atoll-0001-things': 'CREATE TABLE atoll_things (id TEXT PRIMARY KEY)' }
        for (const sql of [
          'CREATE TABLE atoll_more (id TEXT)',
          'ALTER TABLE atoll_things ADD COLUMN more TEXT',
          'DROP TABLE atoll_things',
          'INSERT INTO items (id) VALUES (\'a\'); DELETE FROM "atoll_things"',
          'CREATE INDEX mine ON atoll_things (id)',
        ]) {
          await assertRefused(
            'MIGRATION_FAILED',
            driver.open('orders', { ...runtime, ...itemsMigrations, '0002-more': sql }),
          )
        }
        const store = await driver.open('orders', {
          ...runtime,
          ...itemsMigrations,
          '0002-more': `INSERT INTO items (id) VALUES ('drop table atoll_things')`,
        })
        await assertIds(store.reader, ['drop table atoll_things'])
      },
    },
    {
      id: 'migration.newer',
      promise:
        'a store that has had migrations which the code does not know is refused with STORE_NEWER, and not touched',
      when: (capabilities) => capabilities.persistent,
      async run(driver) {
        const newer = { ...itemsMigrations, ...later }
        await (await driver.open('orders', newer)).close()
        await assertRefused(
          'STORE_NEWER',
          driver.open('orders', { ...itemsMigrations, '0002-other': 'DELETE FROM items' }),
        )
        await assertIds((await driver.open('orders', newer)).reader, ['by migration'])
      },
    },
  ],
}
