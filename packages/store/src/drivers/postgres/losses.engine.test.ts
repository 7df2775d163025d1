import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { engineUrl, startEngine, startProxy, type Proxy } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import { quoteIdentifier, type Pool } from '@atoll/postgres'
import type { Store, Transaction } from '../../driver.ts'
import { programOf } from '../../../test/postgres-programs.ts'
import {
  counters,
  emit,
  inPostgresWorld,
  insertCounter,
  namesIn,
  type PostgresWorld,
} from '../../../test/postgres-world.ts'

const unavailable = { code: 'UNAVAILABLE' }

describe('a store in PostgreSQL whose connection is lost', () => {
  it('during a work: the work and those that shared its commit are rejected and have left nothing, and those behind them go on', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders')
      const { promise: pid, resolve: found } = Promise.withResolvers<number>()
      const before = store.write((tx) => tx.run(insertCounter, ['before', 1]))
      const during = store.write(async (tx) => {
        await tx.run(insertCounter, ['during', 1])
        found(await pidOf(tx))
        await askOn(tx)
      })
      const behind = store.write((tx) => tx.run(insertCounter, ['behind', 1]))
      await Promise.all([
        pid.then((found) => terminate(world.admin, found)),
        assert.rejects(before, unavailable),
        assert.rejects(during, unavailable),
        behind,
      ])
      assert.deepEqual(await namesIn(store), ['behind'])
    }))

  it('between two works: nobody notices', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders')
      for (const name of ['a', 'b', 'c']) {
        await store.write((tx) => tx.run(insertCounter, [name, 1]))
        const pid = await store.write(pidOf)
        // While this waits, the loss cannot be noticed in this process; the next work comes upon it.
        execFileSync(programOf('psql'), [engineUrl('postgres'), '-c', `SELECT pg_terminate_backend(${pid}, 5000)`])
      }
      await store.write((tx) => tx.run(insertCounter, ['d', 1]))
      assert.deepEqual(await namesIn(store), ['a', 'b', 'c', 'd'])
    }))

  it('during its commit: the write is rejected as one of which nobody knows, and the store goes on', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders')
      await slowCommits(world)
      const writing = store.write(async (tx) => (await tx.run(emit, ['a']), await tx.run(insertCounter, ['a', 1])))
      const lost = assert.rejects(writing, /^AtollError: UNAVAILABLE: a commit of .* whether it took effect is unknown/)
      await until('the commit', async () => {
        const { rows } = await world.admin.query<{ pid: number }>(
          `SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND query = 'COMMIT' AND state = 'active'`,
          [`atoll ${world.system} orders`],
        )
        for (const { pid } of rows) await terminate(world.admin, pid)
        return rows.length > 0
      })
      await lost
      assert.deepEqual(await namesIn(store), [])
      await store.write((tx) => tx.run(insertCounter, ['b', 1]))
      assert.deepEqual(await namesIn(store), ['b'])
    }))

  it('again and again: what was acknowledged is there once, and what was rejected at most once', () =>
    inPostgresWorld(async (world) => {
      const stores = await Promise.all([1, 2, 3, 4].map(() => world.open('orders')))
      let open = true
      const terminating = until('the writers to be done', async () => {
        const { rows } = await world.admin.query<{ pid: number }>(
          'SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY random() LIMIT 1',
          [`atoll ${world.system} orders`],
        )
        for (const { pid } of rows) await terminate(world.admin, pid)
        return !open
      })
      const names = stores.flatMap((_, store) => Array.from({ length: 100 }, (_, index) => `${store}.${index}`))
      const outcomes = await Promise.all(
        stores.map((store, index) =>
          writeEach(
            store,
            names.filter((name) => name.startsWith(`${index}.`)),
          ),
        ),
      )
      open = false
      await terminating
      await assertExact(world.admin, world.schemaOf('orders'), outcomes.flat())
    }))
})

describe('a store in PostgreSQL behind a network', () => {
  it('that tears its connections: works under way are rejected, and the next ones go on', () =>
    behindProxy({}, async (store, proxy) => {
      const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
      const during = store.write(async (tx) => {
        await tx.run(insertCounter, ['during', 1])
        begin()
        await askOn(tx)
      })
      await begun
      await Promise.all([cut(proxy), assert.rejects(during, unavailable)])
      await store.write((tx) => tx.run(insertCounter, ['next', 1]))
      await cut(proxy)
      await store.write((tx) => tx.run(insertCounter, ['next but one', 1]))
      assert.deepEqual(await namesIn(store), ['next', 'next but one'])
    }))

  it('that swallows everything: works are rejected within a bound, others write the store meanwhile, and it goes on when it can', () =>
    behindProxy({ callMs: 800, lockMs: 100, idleMs: 500 }, async (store, proxy, world) => {
      const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
      const during = store.write(async (tx) => {
        await tx.run(insertCounter, ['during', 1])
        begin()
        await askOn(tx)
      })
      const lost = assert.rejects(during, unavailable)
      await begun
      await proxy.silence()
      const other = await world.open('orders', counters, { lockMs: 15_000 })
      await Promise.all([lost, other.write((tx) => tx.run(insertCounter, ['of another', 1]))])
      await assert.rejects(
        store.write((tx) => tx.run(insertCounter, ['into the void', 1])),
        unavailable,
      )
      await proxy.pass()
      await store.write((tx) => tx.run(insertCounter, ['next', 1]))
      assert.deepEqual(await namesIn(store), ['next', 'of another'])
    }))
})

describe('a store in a PostgreSQL that is killed', () => {
  it('rejects while there is no server, goes on when there is one again, and has what it acknowledged, once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'atoll-postgres-'))
    const server = await startEngine('postgres', { folder })
    try {
      await inPostgresWorld(async (world) => {
        const stores = [await world.open('orders'), await world.open('orders')]
        let heard = 0
        stores[1]!.watch(() => heard++)
        const outcomes: Outcome[] = []
        for (const round of [1, 2]) {
          const writing = stores.map((store, index) =>
            writeEach(
              store,
              Array.from({ length: 150 }, (_, count) => `${round}.${index}.${count}`),
            ),
          )
          await until('some to be written', async () => (await namesIn(stores[0]!).catch(() => [])).length > round * 10)
          await server.kill()
          outcomes.push(...(await Promise.all(writing)).flat())
          await assert.rejects(
            stores[0]!.write((tx) => tx.run(insertCounter, ['nobody is there', 1])),
            unavailable,
          )
          await server.restart()
          const name = `after ${round}`
          outcomes.push({ name, ok: await stores[0]!.write((tx) => tx.run(insertCounter, [name, 1])).then(() => true) })
        }
        await assertExact(world.admin, world.schemaOf('orders'), outcomes)
        heard = 0
        await until('the listener to hear again', () => (stores[0]!.tell(), heard > 0))
      }, server.url)
    } finally {
      await server.kill()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

interface Outcome {
  readonly name: string
  readonly ok: boolean
}

async function writeEach(store: Store, names: readonly string[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const name of names) {
    const writing = store.write((tx) => tx.run(insertCounter, [name, 1]))
    const ok = await writing.then(
      () => true,
      (error: { code: string }) => (assert.equal(error.code, 'UNAVAILABLE'), false),
    )
    outcomes.push({ name, ok })
  }
  return outcomes
}

/**
 * The table has no two rows of a name; so what was written twice would have been rejected the second time, with another
 * code.
 */
async function assertExact(admin: Pool, schema: string, outcomes: readonly Outcome[]): Promise<void> {
  const { rows } = await admin.query<{ name: string }>(`SELECT name FROM ${quoteIdentifier(schema)}.counters`)
  const there = new Set(rows.map(({ name }) => name))
  assert.ok(outcomes.some(({ ok }) => ok))
  assert.deepEqual(
    outcomes.filter(({ name, ok }) => ok && !there.has(name)),
    [],
  )
}

async function behindProxy(
  limits: Parameters<PostgresWorld['open']>[2],
  work: (store: Store, proxy: Proxy, world: PostgresWorld) => Promise<void>,
): Promise<void> {
  await inPostgresWorld(async (world) => {
    const url = new URL(engineUrl('postgres'))
    const proxy = await startProxy({ target: { host: url.hostname, port: Number(url.port) } })
    url.port = String(proxy.port)
    try {
      await work(
        await world.createDriver({ url: url.href, limits: limits ?? {} }).open('orders', counters),
        proxy,
        world,
      )
    } finally {
      await proxy.close()
    }
  })
}

async function cut(proxy: Proxy): Promise<void> {
  await proxy.reset()
  await proxy.pass()
}

async function pidOf(tx: Transaction): Promise<number> {
  const row = await tx.get<{ pid: number }>({ sql: 'SELECT pg_backend_pid() AS pid' })
  return row!.pid // a SELECT without FROM answers one row
}

/** Until it fails. */
async function askOn(tx: Transaction): Promise<never> {
  for (;;) await tx.get({ sql: 'SELECT 1 AS one' })
}

async function terminate(admin: Pool, pid: number): Promise<void> {
  await admin.query('SELECT pg_terminate_backend($1, 5000)', [pid])
}

async function slowCommits(world: PostgresWorld): Promise<void> {
  const schema = quoteIdentifier(world.schemaOf('orders'))
  await world.admin.query(
    `CREATE FUNCTION ${schema}.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$`,
  )
  await world.admin.query(
    `CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON ${schema}.outbox DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ${schema}.dawdle()`,
  )
}
