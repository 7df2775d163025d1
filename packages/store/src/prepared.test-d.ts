// Not run: the compiler is the test.

import { sql, type Kysely } from 'kysely'
import { changeVersion, prepared, sqlStore } from './index.ts'

interface Tables {
  orders: { id: string; cents: number; note: string | null; version: number }
  visits: { at: number }
}

declare const db: Kysely<Tables>

type Is<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function assertType<_ extends true>(): void {}

// Rows are inferred from the query.
const cheap = prepared<Tables, { cents: number }>()((db, $) =>
  db.selectFrom('orders').select(['id', 'note']).where('cents', '<', $.cents),
)
const row = await cheap.get(db, { cents: 5 })
assertType<Is<typeof row, { id: string; note: string | null } | undefined>>()
const rows = await cheap.all(db, { cents: 5 })
assertType<Is<typeof rows, { id: string; note: string | null }[]>>()

// Raw SQL says itself what its rows are.
const sum = prepared<Tables, { id: string }>()(
  (_, $) => sql<{ total: number }>`SELECT sum(cents) AS total FROM orders WHERE id = ${$.id}`,
)
const total = await sum.get(db, { id: 'a' })
assertType<Is<typeof total, { total: number } | undefined>>()

const insert = prepared<Tables, { id: string; cents: number }>()((db, $) =>
  db.insertInto('orders').values({ id: $.id, cents: $.cents, version: 1 }),
)
const count = await insert.run(db, { id: 'a', cents: 1 })
assertType<Is<typeof count, number>>()

// @ts-expect-error a parameter is missing
await insert.run(db, { id: 'a' })
// @ts-expect-error a parameter has another type
await insert.run(db, { id: 'a', cents: '1' })
// @ts-expect-error there is no such parameter
prepared<Tables, { id: string }>()((db, $) => db.deleteFrom('orders').where('id', '=', $.name))
// @ts-expect-error there is no such column
prepared<Tables, { id: string }>()((db, $) => db.deleteFrom('orders').where('name', '=', $.id))
// @ts-expect-error a list is not one parameter: its length is part of the SQL
prepared<Tables, { ids: string[] }>()
// @ts-expect-error SQLite has no true and false
prepared<Tables, { paid: boolean }>()

const changed = await changeVersion(db, 'orders', { key: { id: 'a' }, expected: '3', set: { cents: 2 } })
assertType<Is<typeof changed.cents, number>>()
// @ts-expect-error this table has no version
await changeVersion(db, 'visits', { key: { at: 1 }, expected: 1, set: {} })
// @ts-expect-error there is no such column
await changeVersion(db, 'orders', { key: { id: 'a' }, expected: 1, set: { price: 2 } })
// @ts-expect-error the version rises by itself
await changeVersion(db, 'orders', { key: { id: 'a' }, expected: 1, set: { version: 2 } })
// @ts-expect-error whoever means any version says so: expected: undefined
await changeVersion(db, 'orders', { key: { id: 'a' }, set: { cents: 2 } })

// A store carries the type of its tables.
const store = sqlStore<Tables>({ migrations: { '0001-orders': 'CREATE TABLE orders (id TEXT)' } })
assertType<Is<NonNullable<typeof store.tables>, Tables>>()
