import assert from 'node:assert/strict'
import type { Queries } from '../driver.ts'
import { outcomeOf, outcomesOf, type StoreChapter, type StoreTest } from './harness.ts'
import { assertIds, assertRefused, insert, Mishap, openItems, readIds } from './items.ts'

const insertReturning = { sql: `INSERT INTO items (id, cents) VALUES ('smuggled', 1) RETURNING id` }

/** What a reader does with a statement that would write. */
function refusedToReaders(method: string, use: (queries: Queries) => Promise<unknown>): StoreTest {
  return {
    id: `reader.refuses-${method}`,
    promise: `a reader refuses writing through ${method}, with UNSUPPORTED`,
    async run(driver) {
      const store = await openItems(driver)
      await store.write((tx) => insert(tx, 'a'))
      await assertRefused('UNSUPPORTED', use(store.reader))
      await assertIds(store.reader, ['a'])
      const reader = driver.openReader(['orders'])
      await assertRefused('UNSUPPORTED', use(reader))
      await assertIds(reader, ['a'])
    },
  }
}

export const reader: StoreChapter = {
  name: 'reader',
  tests: [
    {
      id: 'reader.committed-only',
      promise: 'a reader does not see what a work wrote that was undone in the end, whenever it asks',
      async run(driver, harness) {
        const store = await openItems(driver)
        const reads: Promise<string[]>[] = []
        const undone = store.write(async (tx) => {
          await insert(tx, 'a')
          reads.push(readIds(store.reader))
          await insert(tx, 'b')
          throw new Mishap()
        })
        assert.equal((await outcomeOf(harness, undone)).ok, false)
        assert.deepEqual(await Promise.all(reads), [[]])
      },
    },
    {
      id: 'reader.commit-done',
      promise: 'a reader does not see what a commit that fails would have made visible',
      async run(driver, harness) {
        const store = await openItems(driver)
        const reads: Promise<string[]>[] = []
        const writes = ['a', 'b'].map((id) =>
          store.write(async (tx) => {
            await insert(tx, id)
            tx.beforeCommit({}, async () => {
              reads.push(readIds(store.reader))
              throw new Mishap()
            })
          }),
        )
        await outcomesOf(harness, writes)
        for (const seen of await Promise.all(reads)) assert.deepEqual(seen, [])
      },
    },
    {
      id: 'reader.no-half',
      promise: 'a reader sees all of a transaction or nothing of it',
      async run(driver) {
        const store = await openItems(driver)
        const reads: Promise<string[]>[] = []
        await store.write(async (tx) => {
          for (const id of ['a', 'b', 'c']) {
            await insert(tx, id)
            reads.push(readIds(store.reader))
          }
        })
        for (const seen of await Promise.all(reads))
          assert.ok(seen.length === 0 || seen.length === 3, `it saw ${seen.join(', ')} of a, b, c`)
      },
    },
    {
      id: 'reader.never-waits',
      promise: 'a reader answers while a transaction is under way, with what was committed before',
      async run(driver, harness) {
        const store = await openItems(driver)
        await store.write((tx) => insert(tx, 'before'))
        const writing = store.write(async (tx) => {
          await insert(tx, 'a')
          return readIds(store.reader)
        })
        const outcome = await outcomeOf(harness, writing)
        assert.deepEqual(outcome, { ok: true, value: ['before'] })
      },
    },
    refusedToReaders('run', (queries) => insert(queries, 'b')),
    refusedToReaders('insert', (queries) =>
      queries.insert({ sql: 'INSERT INTO items (id) VALUES (?)', key: 'cents' }, ['b']),
    ),
    refusedToReaders('runEach', (queries) => queries.runEach({ sql: 'INSERT INTO items (id) VALUES (?)' }, [['b']])),
    refusedToReaders('get', (queries) => queries.get(insertReturning)),
    refusedToReaders('all', (queries) => queries.all(insertReturning)),
  ],
}
