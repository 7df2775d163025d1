import assert from 'node:assert/strict'
import { outcomesOf, type StoreChapter } from './harness.ts'
import { assertIds, insert, Mishap, openItems, readIds } from './items.ts'

const letters = ['a', 'b', 'c', 'd', 'e']

export const group: StoreChapter = {
  name: 'group commit',
  tests: [
    {
      id: 'group.in-order',
      promise: 'works run in the order of the calls',
      async run(driver) {
        const store = await openItems(driver)
        const began: string[] = []
        await Promise.all(letters.map((id) => store.write(async (tx) => (began.push(id), insert(tx, id)))))
        assert.deepEqual(began, letters)
      },
    },
    {
      id: 'group.urgent-first',
      promise: 'an urgent work goes before those that wait and are not, and behind an urgent one that came before',
      async run(driver) {
        const store = await openItems(driver)
        const began: string[] = []
        const write = (id: string, urgent?: boolean) =>
          store.write(async (tx) => (began.push(id), insert(tx, id)), { urgent })
        await Promise.all([write('a'), write('b', false), write('c', true), write('d'), write('e', true)])
        assert.deepEqual(began, ['c', 'e', 'a', 'b', 'd'])
      },
    },
    {
      id: 'group.one-at-a-time',
      promise: 'a work begins when the one before it has ended',
      async run(driver) {
        const store = await openItems(driver)
        const steps: string[] = []
        const writes = letters.map((id) =>
          store.write(async (tx) => {
            steps.push(`${id} begins`)
            for (let count = 0; count < 5; count++) await insert(tx, `${id}${count}`)
            steps.push(`${id} ends`)
          }),
        )
        await Promise.all(writes)
        assert.deepEqual(
          steps,
          letters.flatMap((id) => [`${id} begins`, `${id} ends`]),
        )
      },
    },
    {
      id: 'group.failing-alone',
      promise: 'a work that fails takes no other with it',
      async run(driver, harness) {
        const store = await openItems(driver)
        const writes = letters.map((id) =>
          store.write(async (tx) => {
            await insert(tx, id)
            if (id === 'b' || id === 'e') throw new Mishap()
          }),
        )
        const outcomes = await outcomesOf(harness, writes)
        assert.deepEqual(
          outcomes.map((outcome) => outcome.ok),
          [true, false, true, true, false],
        )
        await assertIds(store.reader, ['a', 'c', 'd'])
      },
    },
    {
      id: 'group.shared',
      promise: 'works that come in the same step share a physical commit',
      when: (capabilities) => capabilities.groupsCommits,
      async run(driver) {
        const store = await openItems(driver)
        const commits = await Promise.all(
          letters.map((id) => store.write(async (tx) => (await insert(tx, id), tx.commit))),
        )
        assert.ok(new Set(commits).size < letters.length, 'each of them had a commit of its own')
      },
    },
    {
      id: 'group.commit-of-its-own',
      promise: 'a work that comes after a commit is part of another one',
      async run(driver) {
        const store = await openItems(driver)
        const first = await store.write(async (tx) => tx.commit)
        assert.notEqual(await store.write(async (tx) => tx.commit), first)
      },
    },
    {
      id: 'group.answered-after-commit',
      promise: 'nobody is answered before the commit: if it fails, every work of it rejects and none has left anything',
      async run(driver, harness) {
        const store = await openItems(driver)
        const commits = new Map<string, object>()
        const writes = letters.map((id) =>
          store.write(async (tx) => {
            commits.set(id, tx.commit)
            await insert(tx, id)
            if (id === 'c') tx.beforeCommit({}, () => Promise.reject(new Mishap()))
          }),
        )
        const outcomes = await outcomesOf(harness, writes)
        const survivors = letters.filter((id) => commits.get(id) !== commits.get('c'))
        assert.deepEqual(
          letters.filter((_, index) => outcomes[index]!.ok),
          survivors,
        )
        await assertIds(store.reader, survivors)
      },
    },
    {
      id: 'group.refused-after-commit',
      promise:
        'a work that failed for what others of its commit had written is answered after it, and with its failure if it fails',
      async run(driver, harness) {
        const store = await openItems(driver)
        const refused = new Mishap()
        for (const fails of [false, true]) {
          const settled: string[] = []
          let commit: object | undefined
          const first = store.write(async (tx) => {
            await insert(tx, `a${fails}`)
            commit = tx.commit
            if (fails) tx.beforeCommit({}, () => Promise.reject(new Mishap()))
          })
          const second = store.write(async (tx) => {
            if (tx.commit === commit) throw refused
            await Promise.reject(new Error('it has a commit of its own'))
          })
          const outcomes = await outcomesOf(harness, [
            first.finally(() => settled.push('first')),
            second.finally(() => settled.push('second')),
          ])
          if (!harness.capabilities.groupsCommits) continue
          assert.deepEqual(settled, ['first', 'second'])
          assert.equal(outcomes[0]!.ok, !fails)
          const { error } = outcomes[1] as { error: unknown } // it did not end well
          assert.equal(error === refused, !fails)
        }
      },
    },
    {
      id: 'group.goes-on',
      promise: 'after a commit that failed, the next one goes on',
      async run(driver, harness) {
        const store = await openItems(driver)
        const failing = store.write(async (tx) => tx.beforeCommit({}, () => Promise.reject(new Mishap())))
        const [outcome] = await outcomesOf(harness, [failing])
        assert.equal(outcome!.ok, false)
        await store.write((tx) => insert(tx, 'next'))
        await assertIds(store.reader, ['next'])
      },
    },
    {
      id: 'group.many',
      promise: 'as many works at once as may wait are each committed, once',
      async run(driver, { capabilities }) {
        const store = await openItems(driver)
        const ids = Array.from({ length: Math.min(capabilities.writesQueuedMax, 500) }, (_, index) =>
          String(index).padStart(3, '0'),
        )
        await Promise.all(ids.map((id) => store.write((tx) => insert(tx, id))))
        assert.deepEqual(await readIds(store.reader), ids)
      },
    },
    {
      id: 'group.stores-apart',
      promise: 'stores commit on their own: one that fails does not touch another',
      async run(driver, harness) {
        const [orders, stock] = [await openItems(driver, 'orders'), await openItems(driver, 'stock')]
        const failing = orders.write(async (tx) => {
          await insert(tx, 'a')
          tx.beforeCommit({}, () => Promise.reject(new Mishap()))
        })
        const [first, second] = await outcomesOf(harness, [failing, stock.write((tx) => insert(tx, 'a'))])
        assert.deepEqual([first!.ok, second!.ok], [false, true])
        await assertIds(orders.reader, [])
        await assertIds(stock.reader, ['a'])
      },
    },
  ],
}
