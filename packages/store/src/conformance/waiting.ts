import assert from 'node:assert/strict'
import type { Transaction } from '../driver.ts'
import { outcomeOf, outcomesOf, type StoreChapter, type StoreHarness, type StoreTest } from './harness.ts'
import { assertCode, assertIds, assertRefused, insert, openItems } from './items.ts'

/** What every method of a transaction does once it has ended. */
function refusedAfterEnd(method: string, use: (tx: Transaction) => unknown): StoreTest {
  return {
    id: `ended.${method}`,
    promise: `${method} is refused with TX_CLOSED once the transaction has ended, well or not`,
    async run(driver, harness) {
      const store = await openItems(driver)
      const ended: Transaction[] = []
      await store.write(async (tx) => void ended.push(tx))
      await outcomeOf(
        harness,
        store.write(async (tx) => Promise.reject(ended.push(tx))),
      )
      assert.equal(ended.length, 2)
      for (const tx of ended) await assertRefused('TX_CLOSED', (async () => use(tx))())
      await assertIds(store.reader, [])
    },
  }
}

/** A work that waits until it is let go, and tells what it met then. */
function waitingWork(id: string): {
  work(tx: Transaction): Promise<void>
  letGo(): void
  readonly later: Promise<unknown>
} {
  const { promise: outside, resolve: letGo } = Promise.withResolvers<void>()
  const { promise: later, resolve: tell } = Promise.withResolvers<unknown>()
  const work = async (tx: Transaction): Promise<void> => {
    await insert(tx, id)
    await outside
    await insert(tx, `${id}, later`).then(tell, tell)
  }
  return { work, letGo, later }
}

export const waiting: StoreChapter = {
  name: 'waiting',
  tests: [
    {
      id: 'waiting.refused',
      promise: 'a work that waits for something else is undone and rejected with TX_WAITED',
      async run(driver, harness) {
        const store = await openItems(driver)
        const { work } = waitingWork('a')
        await assertWaited(harness, store.write(work))
        await assertIds(store.reader, [])
      },
    },
    {
      id: 'waiting.closed',
      promise: 'what a work does with its transaction after it waited is refused with TX_CLOSED, and changes nothing',
      async run(driver, harness) {
        const store = await openItems(driver)
        const { work, letGo, later } = waitingWork('a')
        await assertWaited(harness, store.write(work))
        letGo()
        const outcome = await outcomeOf(harness, later)
        assert.ok(outcome.ok)
        assertCode('TX_CLOSED', outcome.value)
        await assertIds(store.reader, [])
      },
    },
    {
      id: 'waiting.goes-on',
      promise: 'a work that waits takes neither those before it nor those after it with it',
      async run(driver, harness) {
        const store = await openItems(driver)
        const works = [
          (tx: Transaction) => insert(tx, 'before'),
          waitingWork('waiting').work,
          (tx: Transaction) => insert(tx, 'next'),
        ]
        const outcomes = await outcomesOf(
          harness,
          works.map((work) => store.write(work)),
        )
        assert.deepEqual(
          outcomes.map((outcome) => outcome.ok),
          [true, false, true],
        )
        await assertIds(store.reader, ['before', 'next'])
      },
    },
    {
      id: 'waiting.savepoint',
      promise: 'a work that waits in a savepoint is undone as a whole, and the store goes on',
      async run(driver, harness) {
        const store = await openItems(driver)
        const { work, letGo, later } = waitingWork('inside')
        const writing = store.write(async (tx) => {
          await insert(tx, 'outside')
          await tx.savepoint(() => work(tx))
        })
        await assertWaited(harness, writing)
        letGo()
        await outcomeOf(harness, later)
        await store.write((tx) => insert(tx, 'next'))
        await assertIds(store.reader, ['next'])
      },
    },
    {
      id: 'waiting.transaction',
      promise: 'a work that waits for another transaction of its store is rejected with TX_WAITED instead of for ever',
      async run(driver, harness) {
        const store = await openItems(driver)
        const writing = store.write(async (tx) => {
          await insert(tx, 'outer')
          await store.write((other) => insert(other, 'inner'))
        })
        await assertWaited(harness, writing)
        await store.write((tx) => insert(tx, 'next'))
        await assertIds(store.reader, ['inner', 'next'])
      },
    },
    refusedAfterEnd('run', (tx) => insert(tx, 'late')),
    refusedAfterEnd('insert', (tx) => tx.insert({ sql: 'INSERT INTO items (id) VALUES (?)', key: 'cents' }, ['late'])),
    refusedAfterEnd('runEach', (tx) => tx.runEach({ sql: 'INSERT INTO items (id) VALUES (?)' }, [['late']])),
    refusedAfterEnd('get', (tx) => tx.get({ sql: 'SELECT id FROM items' })),
    refusedAfterEnd('all', (tx) => tx.all({ sql: 'SELECT id FROM items' })),
    refusedAfterEnd('savepoint', (tx) => tx.savepoint(async () => {})),
    refusedAfterEnd('send', (tx) =>
      tx.send({ sql: 'INSERT INTO items (id) VALUES (?)', key: 'cents' }, ['late'], () => {}),
    ),
    refusedAfterEnd('beforeCommit', (tx) => tx.beforeCommit({}, async () => {})),
  ],
}

async function assertWaited(harness: StoreHarness, writing: Promise<unknown>): Promise<void> {
  const outcome = await outcomeOf(harness, writing)
  assert.ok(!outcome.ok, 'this waited for something outside, and was committed')
  assertCode('TX_WAITED', outcome.error)
}
