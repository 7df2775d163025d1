import assert from 'node:assert/strict'
import { assertExecuted } from '../executed.ts'
import { kyselyFor } from '../kysely.ts'
import type { StoreChapter } from './harness.ts'
import { assertIds, assertRefused, insert, Mishap, openItems } from './items.ts'

interface Tables {
  items: { id: string; cents: number }
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
          await db.insertInto('items').values([{ id: 'a', cents: 1 }, { id: 'b', cents: 2 }]).execute()
          return db.selectFrom('items').selectAll().where('cents', '>', 1).execute()
        })
        assert.deepEqual(rows.map((row) => ({ ...row })), [{ id: 'b', cents: 2 }])
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
        const result = await store.write((tx) => kyselyFor<Tables>(tx).updateTable('items').set({ cents: 7 }).where('id', '>', 'a').executeTakeFirst())
        assert.equal(result.numUpdatedRows, 2n)
      },
    },
    {
      id: 'kysely.returning',
      promise: 'Kysely gets back the rows that a statement returns',
      async run(driver) {
        const store = await openItems(driver)
        const rows = await store.write((tx) => kyselyFor<Tables>(tx).insertInto('items').values({ id: 'a', cents: 1 }).returningAll().execute())
        assert.deepEqual(rows.map((row) => ({ ...row })), [{ id: 'a', cents: 1 }])
        await assertIds(store.reader, ['a'])
      },
    },
    {
      id: 'kysely.unexecuted',
      promise: 'what Kysely built in a transaction, and nobody executed, is refused with NOT_EXECUTED, and the transaction is undone',
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
      id: 'kysely.reader',
      promise: 'Kysely reads on a reader, and is refused to write with UNSUPPORTED',
      async run(driver) {
        const store = await openItems(driver)
        await store.write((tx) => insert(tx, 'a'))
        const db = kyselyFor<Tables>(store.reader)
        assert.deepEqual(await db.selectFrom('items').select('id').execute().then((rows) => rows.map((row) => row.id)), ['a'])
        await assertRefused('UNSUPPORTED', db.deleteFrom('items').execute())
        await assertRefused('UNSUPPORTED', db.deleteFrom('items').returningAll().execute())
        await assertIds(store.reader, ['a'])
      },
    },
  ],
}
