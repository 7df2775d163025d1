import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CamelCasePlugin, sql, type Kysely } from 'kysely'
import { inSqliteWorld } from '../test/sqlite-world.ts'
import {
  assertExecuted,
  createKysely,
  forgetUnexecuted,
  kyselyFor,
  prepared,
  sqlStore,
  type Migrations,
} from './index.ts'

interface Tables {
  orders: { id: string; cents: number }
}

/** What is said of what a handler builds, in a transaction. */
function judge(build: (db: Kysely<Tables>) => unknown): Promise<string | undefined> {
  let verdict: string | undefined
  return inSqliteWorld({}, async (world) => {
    const store = await world.open({ '0001-orders': 'CREATE TABLE orders (id TEXT PRIMARY KEY, cents INTEGER)' })
    await store.write(async (tx) => {
      try {
        const returned = await build(kyselyFor<Tables>(tx))
        assertExecuted(tx, returned)
      } catch (error) {
        const { code, reason } = error as { code: string; reason: string }
        verdict = `${code} ${/^(.*?)(?: at \S+)? was built/.exec(reason)?.[1]}`
      }
    })
  }).then(() => verdict)
}

const order = { id: 'a', cents: 1 }
const all = prepared<Tables, {}>()((db) => db.selectFrom('orders').selectAll())

describe('a query that a handler builds and does not execute', () => {
  const refused: readonly (readonly [string, string, (db: Kysely<Tables>) => unknown])[] = [
    ['a write that it returns', `db.insertInto('orders')`, (db) => db.insertInto('orders').values(order)],
    ['a read that it returns', `db.selectFrom('orders')`, (db) => db.selectFrom('orders').selectAll()],
    ['raw SQL that it returns', 'sql`DELETE…`', () => sql`DELETE FROM orders`],
    [
      'raw SQL that it awaits',
      'sql`INSERT…`',
      async () => void (await (sql`INSERT INTO orders VALUES (${order.id}, 1)` as unknown)),
    ],
    ['raw SQL that it awaits with others', 'sql`DELETE…`', () => Promise.all([sql`DELETE FROM orders`])],
    [
      'raw SQL that it awaits, and takes for an answer',
      'sql`SELECT…`',
      async () => ((await (sql`-- is it there?\n /* now */ SELECT 1 FROM orders` as unknown)) ? 'there' : 'not there'),
    ],
    [
      'raw SQL that begins with raw SQL',
      'sql`UPDATE…`',
      async () => void (await (sql` ${sql.raw('update orders')} SET cents = 1` as unknown)),
    ],
    ['raw SQL that sets something', 'sql`SET…`', async () => void (await (sql`SET search_path TO other` as unknown))],
    [
      'raw SQL that asks a database for something',
      'sql`PRAGMA…`',
      async () => void (await (sql`PRAGMA foreign_keys = ON` as unknown)),
    ],
    [
      'a deletion below a common table expression that it compiles alone',
      'sql`WITH…`',
      (db) =>
        void sql`WITH old AS (SELECT id FROM orders) ${sql`DELETE FROM orders`} WHERE id IN (SELECT id FROM old)`.compile(
          db,
        ),
    ],
    [
      'a change in a common table expression that it compiles alone',
      'sql`WITH…`',
      (db) => void sql`with changed as (update orders set cents = 1 returning id) select * from changed`.compile(db),
    ],
    [
      'the end of raw SQL that it awaits and does not call',
      'a query whose execute nobody called',
      async () => void (await (sql`DELETE FROM orders`.execute as unknown)),
    ],
    [
      'the end of a read that it awaits and does not call, and takes for an answer',
      'a query whose executeTakeFirst nobody called',
      async (db) =>
        (await (db.selectFrom('orders').select('id').where('id', '=', 'b').executeTakeFirst as unknown))
          ? 'there'
          : 'not there',
    ],
    [
      'the end of a read that it awaits with others',
      'a query whose executeTakeFirstOrThrow nobody called',
      (db) => Promise.all([db.selectFrom('orders').selectAll().executeTakeFirstOrThrow as unknown]),
    ],
    [
      'the end of a read that it returns with others',
      'a query whose execute nobody called',
      (db) => ({ rows: db.selectFrom('orders').selectAll().execute as unknown }),
    ],
    [
      'a prepared statement whose end it awaits and does not call',
      'a query whose get nobody called',
      async () => ((await (all.get as unknown)) ? 'there' : 'not there'),
    ],
    [
      'raw SQL that it compiles alone',
      'sql`INSERT…`',
      (db) => void sql`INSERT INTO orders VALUES ('a', 1)`.compile(db),
    ],
    ['part of raw SQL that it returns', 'sql`…`', async () => sql`cents > 1`],
    ['a list of queries that it returns', "db.selectFrom('orders')", (db) => [1, db.selectFrom('orders').selectAll()]],
    ['an object of queries that it returns', 'sql`DELETE…`', () => ({ a: sql`DELETE FROM orders` })],
    [
      'a function that it returns',
      'a function that the handler returned',
      (db) => () => db.deleteFrom('orders').execute(),
    ],
    [
      'a generator',
      'a generator that the handler returned',
      function* (db) {
        yield db.deleteFrom('orders').execute()
      },
    ],
    [
      'an asynchronous generator',
      'a generator that the handler returned',
      async function* (db) {
        yield await db.deleteFrom('orders').execute()
      },
    ],
    [
      'a table that it awaits',
      `db.schema.createTable('extra')`,
      async (db) => void (await db.schema.createTable('extra').addColumn('a', 'text')),
    ],
    ['a table that it drops halfway', `db.schema.createTable('extra')`, (db) => void db.schema.createTable('extra')],
    [
      'a table in a schema',
      `db.schema.dropTable('extra')`,
      (db) => db.withSchema('main').schema.withoutPlugins().dropTable('extra'),
    ],
    [
      'an alteration',
      `db.schema.alterTable('orders')`,
      (db) => void db.schema.alterTable('orders').addColumn('b', 'text'),
    ],
    [
      'an index',
      `db.schema.createIndex('by_cents')`,
      (db) => void db.schema.createIndex('by_cents').on('orders').column('cents'),
    ],
    ['a prepared statement that it returns', 'a prepared statement', () => all],
    [
      'a write that it awaits',
      `db.updateTable('orders')`,
      async (db) => void (await db.updateTable('orders').set({ cents: 2 })),
    ],
    ['a write that it drops', `db.deleteFrom('orders')`, (db) => void db.deleteFrom('orders').where('id', '=', 'a')],
    [
      'one of several writes',
      `db.insertInto('orders')`,
      async (db) =>
        void (await Promise.all([
          db.insertInto('orders').values(order).execute(),
          db.replaceInto('orders').values(order),
        ])),
    ],
    [
      'a write that it compiles alone',
      `db.insertInto('orders')`,
      (db) => db.insertInto('orders').values(order).compile(),
    ],
    [
      'a write that is part of a write',
      `db.insertInto('orders')`,
      (db) => void db.insertInto('orders').expression(db.selectFrom('orders').selectAll()),
    ],
    [
      'a write below a common table expression',
      `db.deleteFrom('orders')`,
      (db) => void db.with('old', (one) => one.selectFrom('orders').select('id')).deleteFrom('orders'),
    ],
    ['a write in a schema', `db.deleteFrom('orders')`, (db) => void db.withSchema('main').deleteFrom('orders')],
    [
      'a write with a plugin',
      `db.deleteFrom('orders')`,
      (db) => void db.withPlugin(new CamelCasePlugin()).deleteFrom('orders'),
    ],
    [
      'a merge',
      `db.mergeInto('orders')`,
      (db) => void db.mergeInto('orders').using('orders as other', 'other.id', 'orders.id').whenMatched().thenDelete(),
    ],
    [
      'a read that it awaits, and takes for an answer',
      `db.selectFrom('orders')`,
      async (db) => ((await db.selectFrom('orders').select('id').where('id', '=', 'b')) ? 'there' : 'not there'),
    ],
  ]
  for (const [what, name, build] of refused)
    it(`is refused by name: ${what}`, async () => assert.equal(await judge(build), `NOT_EXECUTED ${name}`))

  it('is refused also on committed state, for each handling by itself', () =>
    inSqliteWorld({}, async (world) => {
      const store = await world.open()
      const [careless, careful] = [createKysely<Tables>(store.reader), createKysely<Tables>(store.reader)]
      await careless.selectFrom('orders').selectAll()
      assert.throws(() => assertExecuted(careless), { code: 'NOT_EXECUTED' })
      assertExecuted(careful)
    }))

  it('is forgotten with the handling that failed, and not laid to the next', () =>
    inSqliteWorld({}, async (world) => {
      const store = await world.open()
      await store.write(async (tx) => {
        kyselyFor<Tables>(tx).deleteFrom('orders')
        forgetUnexecuted(tx)
        assertExecuted(tx)
      })
    }))

  const fine: readonly (readonly [string, (db: Kysely<Tables>) => unknown])[] = [
    [
      'a part of a write that is executed',
      (db) => db.insertInto('orders').expression(db.selectFrom('orders').selectAll()).execute(),
    ],
    [
      'a part of a read that is executed',
      (db) =>
        db
          .selectFrom('orders')
          .selectAll()
          .where('id', 'in', db.selectFrom('orders').select('id'))
          .union(db.selectFrom('orders').selectAll())
          .execute(),
    ],
    [
      'a common table expression',
      (db) =>
        db
          .with('old', () => db.selectFrom('orders').selectAll())
          .selectFrom('old')
          .selectAll()
          .execute(),
    ],
    [
      'what an async function returns, and is executed then',
      async (db) => (await (async () => db.selectFrom('orders'))()).selectAll().execute(),
    ],
    [
      'the beginning of queries that are executed',
      (db) => {
        const base = db.selectFrom('orders')
        return Promise.all([base.select('id').execute(), base.select('cents').execute()])
      },
    ],
    [
      'a read that nobody came to need',
      (db) => {
        void db.selectFrom('orders').selectAll()
      },
    ],
    [
      'a write that is not waited for',
      (db) => {
        void db.insertInto('orders').values(order).execute()
      },
    ],
    ['a write that Kysely itself compiles', (db) => db.executeQuery(db.insertInto('orders').values(order))],
    [
      'a write that is compiled, then executed',
      (db) => {
        const write = db.insertInto('orders').values(order)
        write.compile()
        return write.executeTakeFirst()
      },
    ],
    [
      'a write with a plugin, or in a schema',
      async (db) => {
        await db.withPlugin(new CamelCasePlugin()).insertInto('orders').values(order).execute()
        await db.withSchema('main').deleteFrom('orders').execute()
      },
    ],
    ['raw SQL that is executed', (db) => sql`DELETE FROM orders`.execute(db)],
    ['raw SQL that is compiled, then executed', (db) => db.executeQuery(sql`DELETE FROM orders`.compile(db))],
    ['a read in raw SQL that is compiled, to be looked at', (db) => void sql`SELECT 1`.compile(db)],
    [
      'a read with a common table expression in raw SQL that is compiled, whatever it speaks of',
      (db) =>
        void sql`WITH a AS (SELECT 'delete from' AS "update", replace(id, 'a', 'b') AS b FROM orders) -- update\n /* insert into */ SELECT * FROM a FOR UPDATE`.compile(
          db,
        ),
    ],
    [
      'part of raw SQL that an async function returns',
      async (db) =>
        db
          .selectFrom('orders')
          .selectAll()
          .where(await (async () => sql<boolean>`cents > 1`)())
          .execute(),
    ],
    [
      'a table that is created, altered and dropped',
      async (db) => {
        await db.schema.createTable('extra').addColumn('a', 'text').execute()
        await db.schema.alterTable('extra').addColumn('b', 'text').execute()
        await db.schema.createIndex('extra_a').on('extra').column('a').execute()
        await db.schema.dropTable('extra').execute()
      },
    ],
    ['a list of rows', (db) => db.selectFrom('orders').selectAll().execute()],
    ['a prepared statement that is run', (db) => all.all(db, {})],
  ]
  for (const [what, build] of fine) it(`is none: ${what}`, async () => assert.equal(await judge(build), undefined))

  it('is no migration, and neither is half of one: refused where the store is declared', () => {
    for (const migration of [
      sql`CREATE TABLE a (b)`,
      { sqlite: 'CREATE TABLE a (b TEXT)' },
      Promise.resolve('CREATE TABLE a (b TEXT)'),
      undefined,
    ]) {
      assert.throws(() => sqlStore({ migrations: { '0001': migration } as unknown as Migrations }), {
        code: 'DEFINITION_INVALID',
        message: /migration '0001'/,
      }) // as JavaScript would give it
    }
    assert.deepEqual(
      Object.keys(sqlStore({ migrations: { '0001': '', '0002': { sqlite: '', postgres: 'SELECT 1' } } }).migrations),
      ['0001', '0002'],
    )
  })
})
