import assert from 'node:assert/strict'
import type { Transaction } from '../driver.ts'
import { outcomeOf, outcomesOf, type StoreChapter } from './harness.ts'
import { assertIds, insert, Mishap, openItems, readIds } from './items.ts'

export const hooks: StoreChapter = {
  name: 'hooks',
  tests: [
    {
      id: 'hook.once',
      promise: 'of the hooks with the same key, the first is called, once per physical commit',
      async run(driver) {
        const store = await openItems(driver)
        const key = {}
        const called: string[] = []
        const work = (name: string) => async (tx: Transaction) => {
          tx.beforeCommit(key, async () => void called.push(name))
          tx.beforeCommit(key, async () => void called.push(`${name} again`))
          return { name, commit: tx.commit }
        }
        const works = await Promise.all(['a', 'b', 'c'].map((name) => store.write(work(name))))
        works.push(await store.write(work('d')))
        const firsts = works.filter(
          ({ commit }, index) => works.findIndex((other) => other.commit === commit) === index,
        )
        assert.deepEqual(
          called,
          firsts.map(({ name }) => name),
        )
      },
    },
    {
      id: 'hook.undone',
      promise:
        'a hook that speaks for several works can tell which of them were undone, also after they had ended well themselves',
      async run(driver, harness) {
        const store = await openItems(driver)
        const key = {}
        const works: Transaction[] = []
        let undone: boolean[] = []
        const work = (fails: boolean) => async (tx: Transaction) => {
          works.push(tx)
          await insert(tx, `item ${works.length}`)
          tx.beforeCommit(
            key,
            async () => void (undone = works.filter((work) => work.commit === tx.commit).map((work) => work.undone)),
          )
          if (fails) throw new Mishap()
        }
        await outcomesOf(
          harness,
          [false, true, false].map((fails) => store.write(work(fails))),
        )
        const last = works.filter((tx) => tx.commit === works[2]!.commit)
        assert.deepEqual(
          undone,
          last.map((tx) => tx === works[1]),
        )
      },
    },
    {
      id: 'hook.keys',
      promise: 'hooks with different keys are all called',
      async run(driver) {
        const store = await openItems(driver)
        const called: string[] = []
        const work = async (tx: Transaction) =>
          ['a', 'b'].forEach((name) => tx.beforeCommit({ name }, async () => void called.push(name)))
        await store.write(work)
        assert.deepEqual(called, ['a', 'b'])
      },
    },
    {
      id: 'hook.inside',
      promise: 'a hook sees what its works wrote, and what it writes is committed with them',
      async run(driver) {
        const store = await openItems(driver)
        const seen: string[][] = []
        await store.write(async (tx) => {
          await insert(tx, 'work')
          tx.beforeCommit({}, async (queries) => {
            seen.push(await readIds(queries))
            await insert(queries, 'hook')
          })
          await insert(tx, 'work, later')
        })
        assert.deepEqual(seen, [['work', 'work, later']])
        await assertIds(store.reader, ['hook', 'work', 'work, later'])
      },
    },
    {
      id: 'hook.last',
      promise: 'a hook is called after the last work of its commit, and before any of them is answered',
      async run(driver) {
        const store = await openItems(driver)
        const steps: { commit: object; step: string }[] = []
        const key = {}
        const writes = ['a', 'b', 'c'].map(async (id) => {
          const commit = await store.write(async (tx) => {
            tx.beforeCommit(key, async () => void steps.push({ commit: tx.commit, step: 'hook' }))
            await insert(tx, id)
            steps.push({ commit: tx.commit, step: 'work' })
            return tx.commit
          })
          steps.push({ commit, step: 'answer' })
        })
        await Promise.all(writes)
        for (const commit of new Set(steps.map((step) => step.commit))) {
          const order = steps.filter((step) => step.commit === commit).map(({ step }) => step)
          assert.match(order.join(' '), /^(work )+hook( answer)+$/)
        }
      },
    },
    {
      id: 'hook.undone-work',
      promise: 'the hook of a work that was undone is not called, and does not stand in the way of others with its key',
      async run(driver, harness) {
        const store = await openItems(driver)
        const key = {}
        const called: string[] = []
        const writes = ['undone', 'kept'].map((name) =>
          store.write(async (tx) => {
            tx.beforeCommit(key, async () => void called.push(name))
            if (name === 'undone') throw new Mishap()
          }),
        )
        await outcomesOf(harness, writes)
        assert.deepEqual(called, ['kept'])
      },
    },
    {
      id: 'hook.undone-savepoint',
      promise: 'a hook that was registered in a savepoint is not called if that savepoint is undone',
      async run(driver) {
        const store = await openItems(driver)
        const called: string[] = []
        await store.write(async (tx) => {
          for (const name of ['kept', 'undone']) {
            const inner = tx.savepoint(async () => {
              tx.beforeCommit({ name }, async () => void called.push(name))
              if (name === 'undone') throw new Mishap()
            })
            await inner.catch(() => 'wanted')
          }
        })
        assert.deepEqual(called, ['kept'])
      },
    },
    {
      id: 'hook.failing',
      promise: 'a hook that throws fails its commit, and what it wrote is undone as well',
      async run(driver, harness) {
        const store = await openItems(driver)
        const writing = store.write(async (tx) => {
          await insert(tx, 'work')
          tx.beforeCommit({}, async (queries) => {
            await insert(queries, 'hook')
            throw new Mishap()
          })
        })
        assert.equal((await outcomeOf(harness, writing)).ok, false)
        await assertIds(store.reader, [])
      },
    },
    {
      id: 'hook.forgotten',
      promise: 'a hook is not called for later commits, nor after one that failed',
      async run(driver, harness) {
        const store = await openItems(driver)
        let calls = 0
        const work = async (tx: Transaction) =>
          tx.beforeCommit({}, async () => {
            calls++
            if (calls === 2) throw new Mishap()
          })
        await store.write(work)
        await outcomeOf(harness, store.write(work))
        await store.write((tx) => insert(tx, 'a'))
        assert.equal(calls, 2)
      },
    },
  ],
}
