import assert from 'node:assert/strict'
import type { Transaction } from '../driver.ts'
import { outcomesOf, type StoreChapter } from './harness.ts'
import {
  assertCode,
  assertIds,
  assertOwnFailure,
  assertRefused,
  insert,
  itemsMigrations,
  Mishap,
  openItems,
  readIds,
} from './items.ts'

export const transactions: StoreChapter = {
  name: 'transactions',
  tests: [
    {
      id: 'tx.committed',
      promise: 'what a transaction wrote can be read once write resolved',
      async run(driver) {
        const store = await openItems(driver)
        for (const id of ['a', 'b', 'c']) {
          await store.write((tx) => insert(tx, id))
          assert.equal((await readIds(store.reader)).at(-1), id)
        }
      },
    },
    {
      id: 'tx.result',
      promise: 'write resolves with what the work returned',
      async run(driver) {
        const store = await openItems(driver)
        const result = { of: 'work' }
        assert.equal(await store.write(async () => result), result)
      },
    },
    {
      id: 'tx.undone',
      promise: 'a work that throws leaves nothing behind',
      async run(driver) {
        const store = await openItems(driver)
        await store.write((tx) => insert(tx, 'before'))
        const failing = store.write(async (tx) => {
          await insert(tx, 'a', 'b')
          await tx.run({ sql: 'DELETE FROM items WHERE id = ?' }, ['before'])
          throw new Mishap()
        })
        await failing.catch(() => 'which tx.rejects looks at')
        await assertIds(store.reader, ['before'])
      },
    },
    {
      id: 'tx.rejects',
      promise: 'write rejects with what the work threw, as it is',
      async run(driver) {
        const store = await openItems(driver)
        const mishap = new Mishap()
        await assert.rejects(
          store.write(() => Promise.reject(mishap)),
          (error) => error === mishap,
        )
      },
    },
    {
      id: 'tx.rejects-at-once',
      promise: 'a work that throws before it returns a promise rejects its write, and nothing else',
      async run(driver, harness) {
        const store = await openItems(driver)
        const mishap = new Mishap()
        const failing = store.write<void>(() => {
          throw mishap
        })
        const outcomes = await outcomesOf(harness, [failing, store.write((tx) => insert(tx, 'next'))])
        assert.deepEqual(
          outcomes.map((outcome) => (outcome.ok ? 'kept' : outcome.error === mishap)),
          [true, 'kept'],
        )
        await assertIds(store.reader, ['next'])
      },
    },
    {
      id: 'tx.failed-statement',
      promise: 'a statement that fails, unless caught, fails the work and undoes it',
      async run(driver) {
        const store = await openItems(driver)
        await store.write((tx) => insert(tx, 'a'))
        await assert.rejects(store.write((tx) => insert(tx, 'b', 'a')))
        await assertIds(store.reader, ['a'])
      },
    },
    {
      id: 'tx.failed-statement-caught',
      promise:
        'after a statement that failed nothing more runs, also if the failure was caught: TX_FAILED, and nothing is left',
      async run(driver, harness) {
        const store = await openItems(driver)
        await store.write((tx) => insert(tx, 'a'))
        const failing = store.write(async (tx) => {
          await insert(tx, 'b')
          await insert(tx, 'a').catch(() => 'caught')
          await assertRefused('TX_FAILED', insert(tx, 'c'))
        })
        const silent = store.write(async (tx) => void (await insert(tx, 'a').catch(() => 'caught')))
        for (const outcome of await outcomesOf(harness, [failing, silent])) {
          assert.ok(!outcome.ok, 'a statement of this transaction failed, and it was committed')
          assertCode('TX_FAILED', outcome.error)
        }
        await store.write((tx) => insert(tx, 'then'))
        await assertIds(store.reader, ['a', 'then'])
      },
    },
    {
      id: 'tx.own-failure',
      promise:
        'a statement that is wrong, or asks too much, is no failure of the store: its work hears so, and the works beside it are committed',
      async run(driver, harness) {
        const store = await openItems(driver)
        await store.write((tx) => insert(tx, 'a'))
        const ids = Array.from({ length: 70_000 }, (_, index) => `many ${index}`)
        const wrong: Record<string, (tx: Transaction) => Promise<unknown>> = {
          'a row that is there': (tx) => insert(tx, 'a'),
          'a table that is not': (tx) => tx.run({ sql: 'DELETE FROM nowhere' }),
          'more parameters than an engine takes': (tx) =>
            tx.run({ sql: `INSERT INTO items (id) VALUES ${ids.map(() => '(?)').join(', ')}` }, ids),
          'more text than an engine takes': (tx) =>
            tx.run(
              {
                sql: `UPDATE items SET id = ${driver.capabilities.sql === 'postgres' ? 'repeat(?, 2000000000)' : 'zeroblob(2000000000) || ?'}`,
              },
              ['x'],
            ),
        }
        for (const [what, ask] of Object.entries(wrong)) {
          let blamed: unknown
          const failing = store.write((tx) => ask(tx).finally(() => (blamed = tx.storeFailure)))
          const outcomes = await outcomesOf(harness, [failing, store.write((tx) => insert(tx, what))])
          assertOwnFailure(outcomes[0]!, what)
          assert.equal(blamed, undefined, what)
          assert.ok(outcomes[1]!.ok, `${what}: the work beside it failed`)
        }
        await assertIds(store.reader, ['a', ...Object.keys(wrong)])
      },
    },
    {
      id: 'tx.checked-at-commit',
      promise:
        'a work that breaks a constraint which waits for the commit fails by its own doing, and the works beside it are committed',
      async run(driver, harness) {
        const parts = 'CREATE TABLE parts (item TEXT REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED)'
        const store = await driver.open('orders', { ...itemsMigrations, '0002-parts': parts })
        const insertPart = { sql: 'INSERT INTO parts (item) VALUES (?)' }
        const outcomes = await outcomesOf(harness, [
          store.write((tx) => insert(tx, 'a')),
          store.write(async (tx) => void (await tx.run(insertPart, ['nothing']))),
          store.write(async (tx) => (await tx.run(insertPart, ['b']), await insert(tx, 'b'))),
        ])
        assertOwnFailure(outcomes[1]!, 'a part of nothing')
        assert.deepEqual(
          outcomes.map(({ ok }) => ok),
          [true, false, true],
        )
        await assertIds(store.reader, ['a', 'b'])
      },
    },
    {
      id: 'tx.sees-itself',
      promise: 'a work reads what it wrote',
      async run(driver) {
        const store = await openItems(driver)
        const seen = await store.write(async (tx) => {
          await insert(tx, 'a')
          return readIds(tx)
        })
        assert.deepEqual(seen, ['a'])
      },
    },
    {
      id: 'tx.sees-earlier',
      promise: 'a work reads what the works before it wrote, committed or about to be',
      async run(driver) {
        const store = await openItems(driver)
        const seen = ['a', 'b', 'c'].map((id) =>
          store.write(async (tx) => {
            const found = await readIds(tx)
            await insert(tx, id)
            return found
          }),
        )
        assert.deepEqual(await Promise.all(seen), [[], ['a'], ['a', 'b']])
      },
    },
    {
      id: 'tx.changes',
      promise: 'run answers how many rows it changed',
      async run(driver) {
        const store = await openItems(driver)
        await store.write((tx) => insert(tx, 'a', 'b', 'c'))
        const update = { sql: 'UPDATE items SET cents = 5 WHERE id > ?' }
        const counts = await store.write(async (tx) => [await tx.run(update, ['a']), await tx.run(update, ['z'])])
        assert.deepEqual(counts, [2, 0])
      },
    },
    {
      id: 'tx.insert',
      promise:
        'insert answers the key that the row was given, and a later row has a greater one, also after one that was undone',
      async run(driver) {
        const key =
          driver.capabilities.sql === 'sqlite'
            ? 'INTEGER PRIMARY KEY AUTOINCREMENT'
            : 'BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY'
        const store = await driver.open('orders', { '0001-lines': `CREATE TABLE lines (line ${key}, text TEXT)` })
        const append = { sql: 'INSERT INTO lines (text) VALUES (?)', key: 'line' }
        const a = await store.write((tx) => tx.insert(append, ['a']))
        await assert.rejects(
          store.write(async (tx) => {
            await tx.insert(append, ['undone'])
            throw new Error('undo')
          }),
        )
        const [b, c] = await store.write(
          async (tx) => [await tx.insert(append, ['b']), await tx.insert(append, ['c'])] as const,
        )
        assert.ok(a < b && b < c, `${a}, ${b}, ${c}`)
        const rows = await store.reader.all<{ line: number; text: string }>({
          sql: 'SELECT line, text FROM lines ORDER BY line',
        })
        assert.deepEqual(
          rows.map((row) => ({ ...row })),
          [
            { line: a, text: 'a' },
            { line: b, text: 'b' },
            { line: c, text: 'c' },
          ],
        )
      },
    },
    {
      id: 'tx.order',
      promise:
        'statements take effect in the order in which they were asked for, whether or not the ones before were waited for',
      async run(driver) {
        const store = await openItems(driver)
        const count = { sql: 'SELECT count(*) AS count FROM items' }
        const counts = await store.write((tx) =>
          Promise.all([
            tx.get<{ count: number }>(count),
            insert(tx, 'a'),
            tx.all<{ count: number }>(count),
            tx.runEach({ sql: 'INSERT INTO items (id) VALUES (?)' }, [['b'], ['c']]),
            tx.get<{ count: number }>(count),
          ]),
        )
        assert.deepEqual([counts[0]?.count, counts[2][0]?.count, counts[4]?.count], [0, 1, 3])
      },
    },
    {
      id: 'tx.run-each',
      promise: 'runEach runs its statement once for each row, in order',
      async run(driver) {
        const store = await driver.open('orders', {
          '0001-items': 'CREATE TABLE items (id TEXT PRIMARY KEY, cents BIGINT, place BIGINT)',
        })
        const append = { sql: 'INSERT INTO items (id, cents, place) SELECT ?, ?, count(*) FROM items' }
        await store.write((tx) =>
          tx.runEach(append, [
            ['c', 1],
            ['a', 2],
            ['b', 3],
          ]),
        )
        assert.deepEqual(
          (
            await store.reader.all<{ id: string; cents: number }>({ sql: 'SELECT id, cents FROM items ORDER BY place' })
          ).map(({ id, cents }) => `${id}${cents}`),
          ['c1', 'a2', 'b3'],
        )
      },
    },
    {
      id: 'tx.first',
      promise: 'get answers the first row, or undefined',
      async run(driver) {
        const store = await openItems(driver)
        const after = { sql: 'SELECT id FROM items WHERE id > ? ORDER BY id' }
        const found = await store.write(async (tx) => {
          await insert(tx, 'a', 'b', 'c')
          return [await tx.get(after, ['a']), await tx.get(after, ['z'])]
        })
        assert.deepEqual([{ ...found[0] }, found[1]], [{ id: 'b' }, undefined])
        assert.deepEqual(await store.reader.get(after, ['z']), undefined)
      },
    },
  ],
}
