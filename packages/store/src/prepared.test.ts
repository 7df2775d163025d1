import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createNodeHost } from '@atoll/host/node'
import type { Kysely } from 'kysely'
import type { Store } from './driver.ts'
import { changeVersion, kyselyFor, prepared } from './index.ts'
import { createSqliteStores } from './sqlite.ts'

interface Tables {
  orders: { id: string; cents: number; version: number }
}

const insertOrder = prepared<Tables, { id: string; cents: number }>()((db, $) => db.insertInto('orders').values({ id: $.id, cents: $.cents, version: 1 }))
const dearOrders = prepared<Tables, { cents: number }>()((db, $) => db.selectFrom('orders').select('id').where('cents', '>', $.cents).orderBy('id'))

async function inStore(work: (store: Store, db: Kysely<Tables>) => Promise<void>): Promise<void> {
  const stores = createSqliteStores({ folder: ':memory:', host: createNodeHost() })
  const store = await stores.open('orders', { '0001-orders': 'CREATE TABLE orders (id TEXT PRIMARY KEY, cents INTEGER NOT NULL, version INTEGER NOT NULL)' })
  try {
    await work(store, kyselyFor<Tables>(store.reader))
  } finally {
    await stores.close()
  }
}

describe('a prepared statement', () => {
  it('runs with other parameters each time, in a transaction and outside', () =>
    inStore(async (store, db) => {
      await store.write(async (tx) => {
        for (const [index, id] of ['a', 'b', 'c'].entries()) assert.equal(await insertOrder.run(kyselyFor(tx), { id, cents: index * 100 }), 1)
      })
      assert.deepEqual(await dearOrders.all(db, { cents: 50 }), [{ id: 'b' }, { id: 'c' }])
      assert.deepEqual(await dearOrders.get(db, { cents: 150 }), { id: 'c' })
      assert.equal(await dearOrders.get(db, { cents: 500 }), undefined)
    }))

  it('is refused on a Kysely that is not ours', async () => {
    assert.throws(() => dearOrders.all({}, { cents: 1 }), { code: 'UNSUPPORTED' })
  })
})

describe('the db of a transaction', () => {
  it('is refused once the transaction has ended', () =>
    inStore(async (store) => {
      let kept: Kysely<Tables> | undefined
      await store.write(async (tx) => void (kept = kyselyFor<Tables>(tx)))
      await assert.rejects(kept!.selectFrom('orders').selectAll().execute(), { code: 'TX_CLOSED' })
    }))

  it('offers no second kind of transaction', () =>
    inStore(async (_, db) => {
      await assert.rejects(db.transaction().execute(async () => {}), { code: 'UNSUPPORTED' })
    }))
})

describe('changeVersion', () => {
  it('changes a row at the expected version, and says which version is there if it is another', () =>
    inStore(async (store) => {
      await store.write((tx) => insertOrder.run(kyselyFor(tx), { id: 'a', cents: 1 }))
      const change = (expected: string | undefined, cents: number) =>
        store.write((tx) => changeVersion(kyselyFor<Tables>(tx), 'orders', { key: { id: 'a' }, expected, set: { cents } }))
      assert.deepEqual(await change('1', 2), { id: 'a', cents: 2, version: 2 })
      await assert.rejects(change('1', 3), (error: { code: string; details: object }) => {
        assert.deepEqual([error.code, error.details], ['PRECONDITION_FAILED', { version: 2 }])
        return true
      })
      assert.deepEqual(await change(undefined, 4), { id: 'a', cents: 4, version: 3 })
      await assert.rejects(store.write((tx) => changeVersion(kyselyFor<Tables>(tx), 'orders', { key: { id: 'none' }, expected: undefined, set: {} })), { code: 'NOT_FOUND' })
    }))
})
