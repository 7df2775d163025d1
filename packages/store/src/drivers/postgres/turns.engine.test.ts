import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '@atoll/engines/waiting'
import { quoteIdentifier } from '@atoll/postgres'
import type { Store, Transaction } from '../../driver.ts'
import {
  emit,
  inPostgresWorld,
  insertCounter,
  readCounter,
  setCounter,
  type PostgresWorld,
} from '../../../test/postgres-world.ts'

const PROCESSES = 16

describe('processes that write one store in PostgreSQL', () => {
  it('take turns: counters that are read, then written come out exact', () =>
    inPostgresWorld(async (world) => {
      const stores = await openMany(world)
      await stores[0]!.write((tx) =>
        tx.runEach(insertCounter, [
          ['a', 0],
          ['b', 0],
        ]),
      )
      const each = 25
      await Promise.all(
        stores.flatMap((store) =>
          Array.from({ length: each }, () =>
            store.write(async (tx) => (await countUp(tx, 'a'), await countUp(tx, 'b'))),
          ),
        ),
      )
      for (const name of ['a', 'b'])
        assert.deepEqual(await stores[0]!.reader.get(readCounter, [name]), { count: PROCESSES * each })
    }))

  it('share commits also while they wait for one another', () =>
    inPostgresWorld(async (world) => {
      const stores = await openMany(world, 4)
      const commits = await Promise.all(
        stores.flatMap((store) =>
          Array.from({ length: 50 }, () => store.write(async (tx) => (await tx.run(emit, ['x']), tx.commit))),
        ),
      )
      assert.ok(
        new Set(commits).size <= commits.length / 5,
        `${commits.length} works took ${new Set(commits).size} commits`,
      )
    }))

  it('commit what is urgent before they go on with what waits', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders', undefined, { groupOpenMs: 60_000 })
      const begun: string[] = []
      const { promise: hasBegun, resolve: begin } = Promise.withResolvers<void>()
      const { promise: gate, resolve: open } = Promise.withResolvers<void>()
      const first = store.write(async (tx) => (await tx.run(insertCounter, ['first', 0]), begin(), await gate))
      await hasBegun
      const others = Array.from({ length: 5 }, (_, nth) =>
        store.write(async (tx) => (begun.push(`other ${nth}`), await tx.run(insertCounter, [`other ${nth}`, 0]))),
      )
      const urgent = [1, 2].map((nth) =>
        store.write(async (tx) => (begun.push(`urgent ${nth}`), await tx.run(insertCounter, [`urgent ${nth}`, 0])), {
          urgent: true,
        }),
      )
      urgent[1]!.then(
        () => begun.push('urgent committed'),
        () => undefined,
      )
      open()
      await Promise.all([first, ...urgent, ...others])
      assert.deepEqual(begun, [
        'urgent 1',
        'urgent 2',
        'urgent committed',
        'other 0',
        'other 1',
        'other 2',
        'other 3',
        'other 4',
      ])
    }))

  it('let others write however much is urgent, one after the other', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders')
      let urgent = 0
      let isOver = false
      const writing = (async () => {
        for (; !isOver && urgent < 100; urgent++)
          await store.write((tx) => tx.run(insertCounter, [`urgent ${urgent}`, 0]), { urgent: true })
      })()
      await store.write((tx) => tx.run(insertCounter, ['other', 0]))
      isOver = true
      await writing
      assert.ok(urgent < 10, `${urgent} went before it`)
    }))

  it('show their outboxes in the order of the numbers, however slow a commit is: none appears below one that was seen', () =>
    inPostgresWorld(async (world) => {
      const stores = await openMany(world)
      await slowCommits(world)
      const each = 12
      const writing = Promise.all(stores.map((store) => writeOneByOne(store, each)))
      const arrivals = await watchOutbox(world, PROCESSES * each)
      await writing
      assert.deepEqual(
        arrivals,
        arrivals.toSorted((a, b) => a - b),
      )
    }))

  it('are refused with OVERLOADED when another one keeps the store for longer than lockMs, and go on after it', () =>
    inPostgresWorld(async (world) => {
      const store = await world.open('orders', undefined, { lockMs: 100 })
      await world.admin.use(async (other) => {
        await other.query('BEGIN')
        await other.query(`LOCK TABLE ${quoteIdentifier(world.schemaOf('orders'))}.atoll_writer IN EXCLUSIVE MODE`)
        const writes = await Promise.allSettled([
          store.write((tx) => tx.run(emit, ['a'])),
          store.write((tx) => tx.run(emit, ['b'])),
        ])
        for (const write of writes) assert.equal(write.status === 'rejected' && write.reason.code, 'OVERLOADED')
        await other.query('COMMIT')
      })
      await store.write((tx) => tx.run(emit, ['c']))
    }))
})

async function openMany(world: PostgresWorld, count = PROCESSES): Promise<Store[]> {
  return Promise.all(Array.from({ length: count }, () => world.open('orders', undefined, { lockMs: 60_000 })))
}

async function countUp(tx: Transaction, name: string): Promise<void> {
  const row = await tx.get<{ count: number }>(readCounter, [name])
  await tx.run(setCounter, [row!.count + 1, name])
}

async function writeOneByOne(store: Store, count: number): Promise<void> {
  for (let index = 0; index < count; index++) await store.write((tx) => tx.run(emit, ['x']))
}

/** Each commit with something in its outbox takes up to 20 ms, as it may where a disk is busy or a standby far away. */
async function slowCommits(world: PostgresWorld): Promise<void> {
  const schema = quoteIdentifier(world.schemaOf('orders'))
  await world.admin.query(
    `CREATE FUNCTION ${schema}.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(random() * 0.02); RETURN NULL; END $$`,
  )
  await world.admin.query(
    `CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON ${schema}.outbox DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ${schema}.dawdle()`,
  )
}

/** The numbers of the outbox in the order in which they came to be seen. */
async function watchOutbox(world: PostgresWorld, count: number): Promise<number[]> {
  const seen = new Set<number>()
  await until('every event to be there', async () => {
    const { rows } = await world.admin.query<{ seq: number }>(
      `SELECT seq FROM ${quoteIdentifier(world.schemaOf('orders'))}.outbox ORDER BY seq`,
    )
    for (const { seq } of rows) seen.add(seq)
    return seen.size === count
  })
  return [...seen]
}
