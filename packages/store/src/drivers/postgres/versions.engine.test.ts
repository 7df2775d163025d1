import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import { quoteIdentifier } from '@atoll/postgres'
import type { Migrations } from '../../driver.ts'
import { programOf } from '../../../test/postgres-programs.ts'
import { counters, emit, inPostgresWorld, insertCounter, namesIn } from '../../../test/postgres-world.ts'

const newer: Migrations = {
  ...counters,
  '0002': `ALTER TABLE counters ADD COLUMN note TEXT NOT NULL DEFAULT ''; CREATE INDEX ON outbox (body); ALTER TABLE outbox ADD COLUMN at BIGINT`,
}

describe('versions of a service whose store is in PostgreSQL', () => {
  it('that start at once, eight of them, apply the migrations of a new store once', () =>
    inPostgresWorld(async (world) => {
      const stores = await Promise.all(Array.from({ length: 8 }, () => world.open('orders', newer)))
      await Promise.all(stores.map((store, index) => store.write((tx) => tx.run(insertCounter, [`${index}`, 1]))))
      assert.equal((await namesIn(stores[0]!)).length, 8)
      const { rows } = await world.admin.query(
        `SELECT name FROM ${quoteIdentifier(world.schemaOf('orders'))}.atoll_migrations ORDER BY name`,
      )
      assert.deepEqual(rows, [{ name: '0001' }, { name: '0002' }])
    }))

  it('run side by side: an older one writes on while a newer one migrates under it, and is refused with STORE_NEWER when it starts again', () =>
    inPostgresWorld(async (world) => {
      const old = await world.open('orders')
      let [open, count] = [true, 0]
      const write = async (name: string): Promise<void> => {
        while (open)
          await old.write(
            async (tx) => (await tx.run(insertCounter, [`${name}${count++}`, 1]), await tx.run(emit, ['x'])),
          )
      }
      const read = async (): Promise<void> => {
        while (open) await old.reader.all({ sql: 'SELECT name, (SELECT count(*) FROM outbox) AS events FROM counters' })
      }
      const working = Promise.all([write('a'), write('b'), read(), read()])
      await until('it to be at work', () => count > 20)
      const fresh = await world.open('orders', newer)
      await fresh.write((tx) =>
        tx.run({ sql: `INSERT INTO counters (name, count, note) VALUES ('of the newer', 1, 'x')` }),
      )
      const before = count
      await until('it to work on', () => count > before + 20)
      open = false
      await working
      assert.ok((await namesIn(old)).includes('of the newer'))
      await assert.rejects(world.open('orders'), { code: 'STORE_NEWER' })
    }))

  it('write nothing when they start and nothing is lacking', () =>
    inPostgresWorld(async (world) => {
      await world.open('orders')
      await world.admin.use(async (other) => {
        await other.query('BEGIN')
        await other.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
          `atoll store ${world.schemaOf('orders')}`,
        ]) // as one that migrates
        await world.open('orders')
        await other.query('ROLLBACK')
      })
    }))
})

describe('a store in PostgreSQL', () => {
  it('can be dumped and restored by the tools of PostgreSQL, and goes on from there', () =>
    inPostgresWorld(async (world) => {
      const driver = world.createDriver()
      const store = await driver.open('orders', counters)
      await store.write(async (tx) => (await tx.run(insertCounter, ['a', 1]), await tx.runEach(emit, [['x'], ['y']])))
      const dump = execFileSync(programOf('pg_dump'), [
        engineUrl('postgres'),
        '-n',
        quoteIdentifier(world.schemaOf('orders')),
      ])
      await store.close()
      await driver.remove('orders')
      assert.equal(await driver.exists('orders'), false)
      execFileSync(programOf('psql'), [engineUrl('postgres'), '-q', '-v', 'ON_ERROR_STOP=1'], {
        input: dump,
        stdio: ['pipe', 'ignore', 'inherit'],
      })
      const restored = await driver.open('orders', counters)
      assert.deepEqual(await namesIn(restored), ['a'])
      assert.equal(
        await restored.write((tx) => tx.insert({ sql: 'INSERT INTO outbox (body) VALUES (?)', key: 'seq' }, ['z'])),
        3,
      )
    }))

  it('holds no transaction open while nobody uses it, and leaves no session behind when its driver closes', () =>
    inPostgresWorld(async (world) => {
      const driver = world.createDriver()
      const store = await driver.open('orders', counters)
      const stop = store.watch(() => {})
      await Promise.all([
        store.write((tx) => tx.run(emit, ['x'])),
        store.reader.all({ sql: 'SELECT 1 AS one' }),
        driver.openReader(['orders']).all({ sql: 'SELECT 1 AS one' }),
      ])
      await assert.rejects(
        store.write(() => new Promise<never>(() => {})),
        { code: 'TX_WAITED' },
      )
      await assert.rejects(store.write((tx) => tx.run({ sql: 'SELECT 1 / 0' })))
      const sessions = async (): Promise<(string | null)[]> => {
        const { rows } = await world.admin.query<{ state: string | null }>(
          'SELECT state FROM pg_stat_activity WHERE application_name LIKE $1',
          [`atoll ${world.system} %`],
        )
        return rows.map(({ state }) => state)
      }
      const before = await sessions()
      assert.ok(before.length > 0 && before.every((state) => state === 'idle'), before.join())
      stop()
      await driver.close()
      await until('every session to be gone', async () => (await sessions()).length === 0)
      await assert.rejects(driver.open('orders', counters), { code: 'STORE_CLOSED' })
    }))

  it('tells other processes of news, hears of theirs and not of its own, and again after its listener lost its connection', () =>
    inPostgresWorld(async (world) => {
      const [one, two, other] = [await world.open('orders'), await world.open('orders'), await world.open('stock')]
      const heard = { one: 0, two: 0, other: 0 }
      one.watch(() => heard.one++)
      const stop = two.watch(() => heard.two++)
      other.watch(() => heard.other++)
      const tellUntilHeard = (): Promise<void> => until('it to be heard', () => (one.tell(), heard.two > 0))
      await until('everybody to listen', async () => (await listeners()) === 3)
      Object.assign(heard, { one: 0, two: 0, other: 0 })
      await tellUntilHeard()
      assert.deepEqual([heard.one, heard.other], [0, 0])
      await world.admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'LISTEN%'`,
        [`atoll ${world.system} stores`],
      )
      await until('everybody to listen again', async () => (await listeners()) === 3)
      heard.two = 0
      await tellUntilHeard()
      stop()
      await until('what was told to have arrived', async () => (await world.admin.query('SELECT'), true))
      async function listeners(): Promise<number> {
        const { rows } = await world.admin.query(
          `SELECT 1 AS one FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'LISTEN%' AND state = 'idle'`,
          [`atoll ${world.system} stores`],
        )
        return rows.length
      }
    }))
})
