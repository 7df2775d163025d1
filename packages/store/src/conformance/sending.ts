import assert from 'node:assert/strict'
import type { InsertStatement, Store, StoreDriver } from '../driver.ts'
import { outcomeOf, outcomesOf, type StoreChapter } from './harness.ts'
import { Mishap } from './items.ts'

const append: InsertStatement = { sql: 'INSERT INTO lines (text) VALUES (?)', key: 'line' }

export const sending: StoreChapter = {
  name: 'sending',
  tests: [
    {
      id: 'send.order',
      promise:
        'what is sent stands in the order of the works, among what they waited for, and each hears its keys before it is answered',
      async run(driver) {
        const store = await openLines(driver)
        const works = ['a', 'b', 'c', 'd'].map((name) =>
          store
            .write(async (tx) => {
              const keys: number[] = []
              if (name === 'b') keys.push(await tx.insert(append, [`${name}1`]))
              else tx.send(append, [`${name}1`], (key) => keys.push(key))
              tx.send(append, [`${name}2`], (key) => keys.push(key))
              return keys
            })
            .then((keys) => [...keys]),
        )
        const keys = (await Promise.all(works)).flat()
        assert.deepEqual(
          await readLines(store),
          ['a1', 'a2', 'b1', 'b2', 'c1', 'c2', 'd1', 'd2'].map((text, index) => ({ line: keys[index], text })),
        )
      },
    },
    {
      id: 'send.undone',
      promise: 'what a work sent is undone with it, and nothing else is',
      async run(driver, harness) {
        const store = await openLines(driver)
        await outcomesOf(
          harness,
          ['a', 'b', 'c'].map((name) =>
            store.write(async (tx) => {
              tx.send(append, [name], () => {})
              if (name === 'b') throw new Mishap()
            }),
          ),
        )
        assert.deepEqual(
          (await readLines(store)).map(({ text }) => text),
          ['a', 'c'],
        )
      },
    },
    {
      id: 'send.behind-a-failure',
      promise: 'what is sent behind a statement that fails, and that nobody waited for, fails with its work alone',
      async run(driver, harness) {
        const store = await openLines(driver)
        const outcomes = await outcomesOf(
          harness,
          ['a', 'b', 'c'].map((name) =>
            store.write(async (tx) => {
              if (name === 'b') void tx.insert(append, ['a']).catch(() => {})
              tx.send(append, [name], () => {})
            }),
          ),
        )
        assert.deepEqual(
          outcomes.map(({ ok }) => ok),
          [true, false, true],
        )
        assert.deepEqual(
          (await readLines(store)).map(({ text }) => text),
          ['a', 'c'],
        )
      },
    },
    {
      id: 'send.fails',
      promise: 'a work whose sent row the store does not take is undone and rejects, and the next one is written',
      async run(driver, harness) {
        const store = await openLines(driver)
        await store.write(async (tx) => tx.send(append, ['a'], () => {}))
        const { ok } = await outcomeOf(
          harness,
          store.write(async (tx) => {
            await tx.insert(append, ['b'])
            tx.send(append, ['a'], () => {})
          }),
        )
        assert.equal(ok, false)
        await store.write(async (tx) => tx.send(append, ['c'], () => {}))
        assert.deepEqual(
          (await readLines(store)).map(({ text }) => text),
          ['a', 'c'],
        )
      },
    },
  ],
}

function openLines(driver: StoreDriver): Promise<Store> {
  const key =
    driver.capabilities.sql === 'sqlite'
      ? 'INTEGER PRIMARY KEY AUTOINCREMENT'
      : 'BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY'
  return driver.open('orders', { '0001-lines': `CREATE TABLE lines (line ${key}, text TEXT UNIQUE)` })
}

async function readLines(store: Store): Promise<{ line: number; text: string }[]> {
  return (
    await store.reader.all<{ line: number; text: string }>({ sql: 'SELECT line, text FROM lines ORDER BY line' })
  ).map((row) => ({ ...row }))
}
