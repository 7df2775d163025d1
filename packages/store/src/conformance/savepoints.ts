import assert from 'node:assert/strict'
import type { StoreChapter } from './harness.ts'
import { assertIds, assertRefused, insert, Mishap, openItems } from './items.ts'

export const savepoints: StoreChapter = {
  name: 'savepoints',
  tests: [
    {
      id: 'savepoint.undoes',
      promise: 'a savepoint that throws undoes its own part, and only that',
      async run(driver) {
        const store = await openItems(driver)
        await store.write(async (tx) => {
          await insert(tx, 'before')
          await tx.savepoint(() => insert(tx, 'inside').then(() => Promise.reject(new Mishap()))).catch(() => 'wanted')
          await insert(tx, 'then')
        })
        await assertIds(store.reader, ['before', 'then'])
      },
    },
    {
      id: 'savepoint.keeps',
      promise: 'a savepoint that ends well keeps its part, and resolves with what its work returned',
      async run(driver) {
        const store = await openItems(driver)
        const result = await store.write((tx) => tx.savepoint(() => insert(tx, 'a').then(() => 'result')))
        assert.equal(result, 'result')
        await assertIds(store.reader, ['a'])
      },
    },
    {
      id: 'savepoint.rejects',
      promise: 'a savepoint rejects with what its work threw, and if nobody catches it the whole work is undone',
      async run(driver) {
        const store = await openItems(driver)
        const mishap = new Mishap()
        const failing = store.write(async (tx) => {
          await insert(tx, 'before')
          await tx.savepoint(() => Promise.reject(mishap))
        })
        await assert.rejects(failing, (error) => error === mishap)
        await assertIds(store.reader, [])
      },
    },
    {
      id: 'savepoint.nested',
      promise: 'a savepoint within a savepoint undoes its own part, and is undone with the outer one',
      async run(driver) {
        const store = await openItems(driver)
        await store.write(async (tx) => {
          await tx.savepoint(async () => {
            await insert(tx, 'outer')
            await tx.savepoint(() => insert(tx, 'inner').then(() => Promise.reject(new Mishap()))).catch(() => 'wanted')
          })
          const undone = tx.savepoint(async () => {
            await tx.savepoint(() => insert(tx, 'kept by the inner'))
            throw new Mishap()
          })
          await undone.catch(() => 'wanted')
        })
        await assertIds(store.reader, ['outer'])
      },
    },
    {
      id: 'savepoint.failed-statement',
      promise: 'a work goes on after a statement that failed in a savepoint',
      async run(driver) {
        const store = await openItems(driver)
        await store.write(async (tx) => {
          await insert(tx, 'a')
          await assert.rejects(tx.savepoint(() => insert(tx, 'b', 'a')))
          await insert(tx, 'c')
        })
        await assertIds(store.reader, ['a', 'c'])
      },
    },
    {
      id: 'savepoint.failed-statement-caught',
      promise:
        'a savepoint in which a statement failed is undone and refused with TX_FAILED, also if the failure was caught there',
      async run(driver) {
        const store = await openItems(driver)
        await store.write(async (tx) => {
          await insert(tx, 'a')
          const inner = tx.savepoint(async () => {
            await insert(tx, 'b')
            await insert(tx, 'a').catch(() => 'caught')
          })
          await assertRefused('TX_FAILED', inner)
          await insert(tx, 'c')
        })
        await assertIds(store.reader, ['a', 'c'])
      },
    },
  ],
}
