import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createNodeHost } from '@atoll/host/node'
import { sql, type Kysely } from 'kysely'
import type { Store } from './driver.ts'
import { changeVersion, kyselyFor, prepared } from './index.ts'
import { createSqliteStores } from './sqlite.ts'

interface Tables {
  orders: { id: string; cents: number; version: number }
}

const insertOrder = prepared<Tables, { id: string; cents: number }>()((db, $) =>
  db.insertInto('orders').values({ id: $.id, cents: $.cents, version: 1 }),
)
const dearOrders = prepared<Tables, { cents: number }>()((db, $) =>
  db.selectFrom('orders').select('id').where('cents', '>', $.cents).orderBy('id'),
)

async function inStore(work: (store: Store, db: Kysely<Tables>) => Promise<void>): Promise<void> {
  const stores = createSqliteStores({ folder: ':memory:', host: createNodeHost() })
  const store = await stores.open('orders', {
    '0001-orders': 'CREATE TABLE orders (id TEXT PRIMARY KEY, cents INTEGER NOT NULL, version INTEGER NOT NULL)',
  })
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
        for (const [index, id] of ['a', 'b', 'c'].entries())
          assert.equal(await insertOrder.run(kyselyFor(tx), { id, cents: index * 100 }), 1)
      })
      assert.deepEqual(await dearOrders.all(db, { cents: 50 }), [{ id: 'b' }, { id: 'c' }])
      assert.deepEqual(await dearOrders.get(db, { cents: 150 }), { id: 'c' })
      assert.equal(await dearOrders.get(db, { cents: 500 }), undefined)
    }))

  it('may be raw SQL', () =>
    inStore(async (store, db) => {
      const discount = prepared<Tables, { cents: number }>()(
        (_, $) => sql`UPDATE orders SET cents = cents - ${$.cents}`,
      )
      const total = prepared<Tables, { least: number }>()(
        (_, $) => sql<{ cents: number }>`SELECT sum(cents) AS cents FROM orders WHERE cents >= ${$.least}`,
      )
      const changed = await store.write(async (tx) => {
        for (const [index, id] of ['a', 'b', 'c'].entries())
          await insertOrder.run(kyselyFor(tx), { id, cents: index * 100 })
        return discount.run(kyselyFor(tx), { cents: 10 })
      })
      assert.equal(changed, 3)
      assert.deepEqual(await total.get(db, { least: 0 }), { cents: 280 })
    }))

  it('is built once', () =>
    inStore(async (store) => {
      let built = 0
      const insert = prepared<Tables, { id: string }>()(
        (db, $) => (built++, db.insertInto('orders').values({ id: $.id, cents: 1, version: 1 })),
      )
      for (const id of ['a', 'b', 'c']) await store.write((tx) => insert.run(kyselyFor(tx), { id }))
      assert.equal(built, 1)
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

  it('tells how many rows raw SQL changed, and what it returns', () =>
    inStore(async (store) => {
      const [updated, returned] = await store.write(async (tx) => {
        const db = kyselyFor<Tables>(tx)
        for (const id of ['a', 'b']) await insertOrder.run(db, { id, cents: 1 })
        return [
          await sql`update orders set cents = 2`.execute(db),
          await sql<{ id: string }>`delete from orders where id = ${'a'} returning id`.execute(db),
        ]
      })
      assert.deepEqual([updated.numAffectedRows, updated.rows, returned.rows], [2n, [], [{ id: 'a' }]])
    }))

  it('offers no second kind of transaction', () =>
    inStore(async (_, db) => {
      await assert.rejects(
        db.transaction().execute(async () => {}),
        { code: 'UNSUPPORTED' },
      )
    }))
})

describe('changeVersion', () => {
  it('changes a row at the expected version, and says which version is there if it is another', () =>
    inStore(async (store) => {
      await store.write((tx) => insertOrder.run(kyselyFor(tx), { id: 'a', cents: 1 }))
      const change = (expected: string | undefined, cents: number) =>
        store.write((tx) =>
          changeVersion(kyselyFor<Tables>(tx), 'orders', { key: { id: 'a' }, expected, set: { cents } }),
        )
      assert.deepEqual(await change('1', 2), { id: 'a', cents: 2, version: 2 })
      await assert.rejects(change('1', 3), (error: { code: string; details: object }) => {
        assert.deepEqual([error.code, error.details], ['PRECONDITION_FAILED', { version: 2 }])
        return true
      })
      await assert.rejects(change('"1"', 3), { code: 'PRECONDITION_FAILED' })
      assert.deepEqual(await change(undefined, 4), { id: 'a', cents: 4, version: 3 })
      await assert.rejects(
        store.write((tx) =>
          changeVersion(kyselyFor<Tables>(tx), 'orders', { key: { id: 'none' }, expected: undefined, set: {} }),
        ),
        { code: 'NOT_FOUND' },
      )
    }))
})
