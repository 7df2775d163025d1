import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { AtollError } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { openPool, quoteIdentifier } from '@atoll/postgres'
import { counters, inPostgresWorld, insertCounter, namesIn, type PostgresWorld } from '../../../test/postgres-world.ts'
import { createPostgresStores } from '../../postgres.ts'

const refused = { code: '42501' }

describe('roles of services in PostgreSQL', () => {
  it("let no service read, write, list or add to another's schema", () =>
    inPostgresWorld(async (world) => {
      await (await world.open('orders')).write((tx) => tx.run(insertCounter, ['theirs', 1]))
      await world.open('stock')
      const theirs = quoteIdentifier(world.schemaOf('orders'))
      await asRole(world, 'stock', async (query) => {
        await assert.rejects(query(`SELECT * FROM ${theirs}.counters`), refused)
        await assert.rejects(query(`INSERT INTO ${theirs}.counters VALUES ('mine', 1)`), refused)
        await assert.rejects(query(`CREATE TABLE ${theirs}.mine ()`), refused)
        await assert.rejects(query(`DROP SCHEMA ${theirs} CASCADE`), /must be owner/)
        const { rows } = await query(
          `SELECT table_name FROM information_schema.tables WHERE table_schema = '${world.schemaOf('orders')}'`,
        )
        assert.deepEqual(rows, [])
      })
    }))

  it('hold for the statements of a service, whoever the user of the URL is', () =>
    inPostgresWorld(async (world) => {
      await world.open('orders')
      const stock = await world.open('stock')
      const look = { sql: `SELECT name FROM ${quoteIdentifier(world.schemaOf('orders'))}.counters` }
      await assert.rejects(
        stock.write((tx) => tx.all(look)),
        /permission denied/,
      )
      await assert.rejects(stock.reader.all(look), /permission denied/)
    }))

  it('cannot be left by a statement of a service', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders')
      const ways = [
        'SET ROLE NONE',
        'RESET ROLE',
        '/* quietly */ RESET ROLE',
        '-- quietly\nSET SESSION AUTHORIZATION DEFAULT',
        "SELECT set_config('role', 'none', true)",
        `SELECT "set_config"('role', 'none', true)`,
        'DO $$ BEGIN RESET ROLE; END $$',
        'SELECT 1; RESET ROLE',
      ]
      for (const sql of ways) {
        await assert.rejects(
          store.write((tx) => tx.all({ sql })),
          /UNSUPPORTED|multiple commands/,
          sql,
        )
        await assert.rejects(store.reader.all({ sql }), /UNSUPPORTED|multiple commands/, sql)
      }
      const who = { sql: 'SELECT current_user::text AS name' }
      assert.deepEqual(await store.write((tx) => tx.get(who)), { name: world.schemaOf('orders') })
      assert.deepEqual(await store.reader.get(who), { name: world.schemaOf('orders') })
    }))

  it('cannot be left by a migration, nor its transaction ended', () =>
    inPostgresWorld(async (world) => {
      const driver = world.createDriver()
      for (const sql of [
        'RESET ROLE',
        '/* a */ SET ROLE NONE',
        `SELECT set_config('role', 'none', false)`,
        'SET search_path = public',
        '-- a\nCOMMIT',
        'SELECT 1; ROLLBACK',
      ]) {
        await assert.rejects(driver.open('orders', { '0001': sql }), { code: 'MIGRATION_FAILED' }, sql)
      }
      assert.equal(await driver.exists('orders'), false)
    }))

  it('are shared by a service and its projections', () =>
    inPostgresWorld(async (world) => {
      const driver = world.createDriver()
      await driver.open('reading', counters)
      await driver.open('reading.pages.1', { '0001': 'CREATE TABLE pages (id TEXT PRIMARY KEY)' })
      assert.deepEqual(
        await driver
          .openReader(['reading', 'reading.pages.1'])
          .all({ sql: 'SELECT count(*) AS pages, (SELECT count(*) FROM counters) AS counters FROM pages' }),
        [{ pages: 0, counters: 0 }],
      )
    }))

  it('as users of the URL open the store that is theirs, and no other', () =>
    inPostgresWorld(async (world) => {
      await world.open('stock')
      const url = await addUser(world, world.schemaOf('orders'))
      const schema = quoteIdentifier(world.schemaOf('orders'))
      await world.admin.query(`CREATE SCHEMA ${schema} AUTHORIZATION ${schema}`)
      const driver = world.createDriver({ url })
      const orders = await driver.open('orders', counters)
      await orders.write((tx) => tx.run(insertCounter, ['a', 1]))
      assert.deepEqual(await namesIn(orders), ['a'])
      await assert.rejects(driver.open('stock', counters), { code: 'UNAVAILABLE' })
      await assert.rejects(driver.open('fresh', counters), { code: 'UNAVAILABLE' })
    }))

  it('may be taken on by a user who is a member of them, and can make none', () =>
    inPostgresWorld(async (world) => {
      await world.open('orders')
      const user = `${world.system}_user`
      const url = await addUser(world, user)
      await world.admin.query(`GRANT ${quoteIdentifier(world.schemaOf('orders'))} TO ${quoteIdentifier(user)}`)
      const orders = await world.createDriver({ url }).open('orders', counters)
      assert.deepEqual(await orders.reader.get({ sql: 'SELECT current_user::text AS name' }), {
        name: world.schemaOf('orders'),
      })
    }))

  for (const [what, prepare] of [
    ['neither role nor schema', async () => {}],
    [
      'a role',
      async (world: PostgresWorld) =>
        void (await world.admin.query(`CREATE ROLE ${quoteIdentifier(world.schemaOf('orders'))}`)),
    ],
    [
      'a schema of somebody else',
      async (world: PostgresWorld) =>
        void (await world.admin.query(`CREATE SCHEMA ${quoteIdentifier(world.schemaOf('orders'))}`)),
    ],
  ] as const) {
    it(`are named with all that must be run, where there is ${what} and the user may make neither`, () =>
      inPostgresWorld(async (world) => {
        await prepare(world)
        const driver = world.createDriver({ url: await addUser(world, `${world.system}_user`) })
        const failure = await driver.open('orders', counters).then(
          () => assert.fail('it opened'),
          (error: unknown) => error,
        )
        assert.ok(failure instanceof AtollError && failure.code === 'UNAVAILABLE', String(failure))
        for (const order of ordersIn(failure.message)) await world.admin.query(order)
        const orders = await driver.open('orders', counters)
        await orders.write((tx) => tx.run(insertCounter, ['a', 1]))
        assert.deepEqual(await namesIn(orders), ['a'])
      }))
  }
})

describe('names in PostgreSQL', () => {
  it('keep two systems in one database apart, whatever their services are called', () =>
    inPostgresWorld((one) =>
      inPostgresWorld(async (two) => {
        const [ours, theirs] = [await one.open('orders'), await two.open('orders')]
        await ours.write((tx) => tx.run(insertCounter, ['ours', 1]))
        assert.deepEqual(await namesIn(theirs), [])
        await assert.rejects(
          theirs.reader.all({ sql: `SELECT * FROM ${quoteIdentifier(one.schemaOf('orders'))}.counters` }),
          /permission denied/,
        )
      }),
    ))

  it('that PostgreSQL would cut off are refused, and so are those that it keeps for itself', () =>
    inPostgresWorld(async (world) => {
      const driver = world.createDriver()
      const fits = 'a'.repeat(63 - world.system.length - 1)
      await driver.open(fits, counters)
      await assert.rejects(driver.open(`${fits}a`, counters), { code: 'DEFINITION_INVALID' })
      for (const system of ['pg', 'with_underscore', 'a'.repeat(32), '', 'Upper']) {
        assert.throws(() => createPostgresStores({ url: engineUrl('postgres'), system, host: createNodeHost() }), {
          code: 'DEFINITION_INVALID',
        })
      }
    }))
})

/** A user who may connect, and nothing else. */
async function addUser(world: PostgresWorld, name: string): Promise<string> {
  await world.admin.query(`CREATE ROLE ${quoteIdentifier(name)} LOGIN PASSWORD 'secret'`)
  const url = new URL(engineUrl('postgres'))
  url.username = name
  url.password = 'secret'
  return url.href
}

async function asRole(
  world: PostgresWorld,
  service: string,
  work: (query: (sql: string) => Promise<{ rows: unknown[] }>) => Promise<void>,
): Promise<void> {
  const pool = openPool({
    url: engineUrl('postgres'),
    host: createNodeHost(),
    applicationName: 'tests',
    connectionsMax: 1,
    role: world.schemaOf(service),
  })
  try {
    await work((sql) => pool.query(sql))
  } finally {
    await pool.close()
  }
}

/** What an administrator reads, as he would copy it. */
function ordersIn(message: string): string[] {
  const [, orders = ''] = /administrator run: (.*?;)(?:\.|$)/.exec(message) ?? []
  return orders.split(';').filter((order) => order.trim() !== '')
}
