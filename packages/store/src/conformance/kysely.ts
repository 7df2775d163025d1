import assert from 'node:assert/strict'
import { assertExecuted } from '../executed.ts'
import { sql, type Kysely } from 'kysely'
import { kyselyFor } from '../kysely.ts'
import { prepared } from '../prepared.ts'
import type { StoreChapter } from './harness.ts'
import { assertIds, assertRefused, insert, itemsMigrations, Mishap, openItems } from './items.ts'

interface Tables {
  items: { id: string; cents: number }
  atoll_things: { id: string }
}

export const kysely: StoreChapter = {
  name: 'Kysely',
  tests: [
    {
      id: 'kysely.transaction',
      promise: 'Kysely writes and reads in a transaction, and is undone with it',
      async run(driver) {
        const store = await openItems(driver)
        const rows = await store.write(async (tx) => {
          const db = kyselyFor<Tables>(tx)
          await db
            .insertInto('items')
            .values([
              { id: 'a', cents: 1 },
              { id: 'b', cents: 2 },
            ])
            .execute()
          return db.selectFrom('items').selectAll().where('cents', '>', 1).execute()
        })
        assert.deepEqual(
          rows.map((row) => ({ ...row })),
          [{ id: 'b', cents: 2 }],
        )
        const failing = store.write(async (tx) => {
          await kyselyFor<Tables>(tx).deleteFrom('items').execute()
          throw new Mishap()
        })
        await assert.rejects(failing, Mishap)
        await assertIds(store.reader, ['a', 'b'])
      },
    },
    {
      id: 'kysely.counts',
      promise: 'Kysely tells how many rows a statement changed',
      async run(driver) {
        const store = await openItems(driver)
        await store.write((tx) => insert(tx, 'a', 'b', 'c'))
        const result = await store.write((tx) =>
          kyselyFor<Tables>(tx).updateTable('items').set({ cents: 7 }).where('id', '>', 'a').executeTakeFirst(),
        )
        assert.equal(result.numUpdatedRows, 2n)
      },
    },
    {
      id: 'kysely.returning',
      promise: 'Kysely gets back the rows that a statement returns',
      async run(driver) {
        const store = await openItems(driver)
        const rows = await store.write((tx) =>
          kyselyFor<Tables>(tx).insertInto('items').values({ id: 'a', cents: 1 }).returningAll().execute(),
        )
        assert.deepEqual(
          rows.map((row) => ({ ...row })),
          [{ id: 'a', cents: 1 }],
        )
        await assertIds(store.reader, ['a'])
      },
    },
    {
      id: 'kysely.unexecuted',
      promise:
        'what Kysely built in a transaction, and nobody executed, is refused with NOT_EXECUTED, and the transaction is undone',
      async run(driver) {
        const store = await openItems(driver)
        const forgetful = store.write(async (tx) => {
          const db = kyselyFor<Tables>(tx)
          await db.insertInto('items').values({ id: 'a', cents: 1 }).execute()
          await db.insertInto('items').values({ id: 'b', cents: 2 })
          assertExecuted(tx)
        })
        await assertRefused('NOT_EXECUTED', forgetful)
        await assertIds(store.reader, [])
      },
    },
    {
      id: 'kysely.own-tables',
      promise:
        "Kysely reads the runtime's own tables, atoll_…, and is refused to write them with UNSUPPORTED, also in raw SQL and where a statement is prepared",
      async run(driver) {
        const store = await driver.open('orders', {
          'atoll-0001-things': `CREATE TABLE atoll_things (id TEXT PRIMARY KEY); INSERT INTO atoll_things (id) VALUES ('a')`,
          ...itemsMigrations,
        })
        const erase = prepared<Tables, {}>()((db) => db.deleteFrom('atoll_things'))
        const attempts: ((db: Kysely<Tables>) => Promise<unknown>)[] = [
          (db) => db.deleteFrom('atoll_things').execute(),
          (db) => db.updateTable('atoll_things').set({ id: 'b' }).returningAll().execute(),
          (db) =>
            db
              .with('gone', (query) => query.selectFrom('items').select('id'))
              .deleteFrom('atoll_things')
              .execute(),
          (db) => db.schema.dropTable('atoll_things').execute(),
          (db) => sql`insert /* one */ into "atoll_things" (id) values ('b')`.execute(db),
          (db) => erase.run(db, {}),
          (db) => erase.all(db, {}),
        ]
        for (const attempt of attempts)
          await assertRefused(
            'UNSUPPORTED',
            store.write((tx) => attempt(kyselyFor<Tables>(tx))),
          )
        const found = await store.write(async (tx) => {
          const db = kyselyFor<Tables>(tx)
          await db
            .insertInto('items')
            .columns(['id', 'cents'])
            .expression((from) => from.selectFrom('atoll_things').select((select) => ['id', select.lit(1).as('cents')]))
            .execute()
          await sql`UPDATE items SET id = 'delete from atoll_things' -- delete from atoll_things`.execute(db)
          return db.selectFrom('atoll_things').select('id').execute()
        })
        assert.deepEqual(
          found.map(({ id }) => id),
          ['a'],
        )
        await assertIds(store.reader, ['delete from atoll_things'])
      },
    },
    {
      id: 'kysely.reader',
      promise: 'Kysely reads on a reader, and is refused to write with UNSUPPORTED',
      async run(driver) {
        const store = await openItems(driver)
        await store.write((tx) => insert(tx, 'a'))
        const db = kyselyFor<Tables>(store.reader)
        assert.deepEqual(
          await db
            .selectFrom('items')
            .select('id')
            .execute()
            .then((rows) => rows.map((row) => row.id)),
          ['a'],
        )
        await assertRefused('UNSUPPORTED', db.deleteFrom('items').execute())
        await assertRefused('UNSUPPORTED', db.deleteFrom('items').returningAll().execute())
        await assertIds(store.reader, ['a'])
      },
    },
  ],
}
