import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sqlStore } from '@atoll/store'
import type { Reader, Row, Statement, StoreDriver, Value } from '@atoll/store/driver'
import type { Kysely } from 'kysely'
import { z } from 'zod'
import { command, contract, event, projection, query, service, system, type System } from '../../index.ts'
import { call, changedReads, changedWrites, endingBehind, inWorld, type World } from '../../../test/world.ts'
import type { RunningSystem } from '../../runtime.ts'
import { runtimeMigrations } from '../schema.ts'

// A feed of events, and a desk that handles each. Keys that begin with `bad` are poisoned, as the test says.

const arrived = event('parcel.arrived', { version: 1, key: ({ key }) => key, data: z.object({ key: z.string() }) })
const feed = contract('feed', { events: [arrived], send: command({ input: z.array(z.string()), output: z.void() }) })
const desk = contract('desk', { handled: query({ input: z.string(), output: z.number() }) })

type Trouble = (key: string) => void | Promise<void>
const parcels = sqlStore<{ parcels: { key: string } }>({
  migrations: { '0001-parcels': 'CREATE TABLE parcels (key TEXT NOT NULL)' },
})

/** How many events are handled, of keys that begin with a text. */
const handlers = {
  handled: async ({ input, db }: { input: string; db: Kysely<{ parcels: { key: string } }> }) =>
    (await db.selectFrom('parcels').select('key').where('key', 'like', `${input}%`).execute()).length,
}

function createDesk(trouble: Trouble): System {
  const sorting = service(desk, {
    store: parcels,
    handlers,
    subscribe: ({ on }) => [
      on(arrived, async ({ event, tx }) => {
        await trouble(event.data.key)
        await tx(({ db }) => db.insertInto('parcels').values(event.data).execute())
      }),
    ],
  })
  return system('sorting', { services: [createFeed(), sorting] })
}

/** The same with a projection. */
function createBoard(trouble: Trouble): System {
  const board = projection('board', {
    store: parcels,
    subscribe: ({ project }) => [
      project(arrived, async ({ data }, { db }) => {
        await trouble(data.key)
        await db.insertInto('parcels').values(data).execute()
      }),
    ],
  })
  return system('boards', {
    services: [createFeed(), service(desk, { store: sqlStore({ migrations: {} }), projections: [board], handlers })],
  })
}

function createFeed() {
  const send = async ({
    input,
    tx,
  }: {
    input: string[]
    tx: (work: (context: { emit: (event: typeof arrived, data: { key: string }) => void }) => void) => Promise<void>
  }) => {
    await tx(({ emit }) => {
      for (const key of input) emit(arrived, { key })
    })
  }
  return service(feed, { store: sqlStore({ migrations: {} }), handlers: { send } })
}

const poisoned: Trouble = (key) => {
  if (key.startsWith('bad')) throw new Error('poisoned')
}

const keys = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`)

/** Stores of the desk in which, while `work` runs, a transaction takes a millisecond, and the next waits for it. */
function slowDesk(world: World): { stores: StoreDriver; during: (work: () => Promise<void>) => Promise<void> } {
  let last: Promise<unknown> | undefined
  const during = async (work: () => Promise<void>): Promise<void> => {
    last = Promise.resolve()
    await work()
    last = undefined
    await world.host.advance(2_000) // what waits still gets its turn
  }
  const stores = changedWrites(world.stores, (store, work) => {
    if (!last || !store.name.startsWith('desk')) return store.write(work)
    const write = last
      .then(() => new Promise<void>((resolve) => void world.host.after(1, resolve)))
      .then(() => store.write(work))
    last = write.catch(() => undefined)
    return write
  })
  return { stores, during }
}

/** Stores that tell how many held events they gave at a time. */
function counted(driver: StoreDriver, tell: (rows: number) => void): StoreDriver {
  return {
    ...driver,
    async open(name, migrations) {
      const store = await driver.open(name, migrations)
      const { reader } = store
      const changed: Reader = {
        dialect: reader.dialect,
        run: (statement, params) => reader.run(statement, params),
        insert: (statement, params) => reader.insert(statement, params),
        runEach: (statement, rows) => reader.runEach(statement, rows),
        get: (statement, params) => reader.get(statement, params),
        all: async <R = Row>(statement: Statement, params?: readonly Value[]) => {
          const rows = await reader.all<R>(statement, params)
          if (statement.sql.includes('FROM atoll_held')) tell(rows.length)
          return rows
        },
        close: () => reader.close(),
      }
      return { ...store, reader: changed }
    },
  }
}

describe('keys whose events fail', () => {
  it('take next to nothing of the speed at which events of others are handled, many as they are', async () => {
    const handledAmong = async (bad: number): Promise<number> => {
      let handled = 0
      await inWorld(async (world) => {
        const slow = slowDesk(world)
        const running = await world.start(
          createDesk(poisoned),
          { partitions: 1, retryDelayMs: 500, retryDelayMsMax: 500 },
          slow,
        )
        if (bad > 0) await call(running, feed.send, keys('bad', bad))
        await slow.during(async () => {
          await world.host.advance(1_500) // all are held, and due again
          await call(running, feed.send, keys('good', 400))
          await world.host.advance(200)
          handled = await call(running, desk.handled, 'good')
        })
      })
      return handled
    }
    const [alone, among] = [await handledAmong(0), await handledAmong(500)]
    assert.ok(among >= 0.85 * alone, `${among} were handled beside 500 poisoned keys, and ${alone} without`)
  })

  it('take next to nothing of it either if their handlers hang, also those of one key that comes again and again', () =>
    inWorld(async (world) => {
      const tried = new Set<string>()
      const hanging: Trouble = (key) => {
        if (!key.startsWith('bad')) return
        if (tried.has(key) || key.startsWith('bad-often')) return new Promise<void>(() => {})
        tried.add(key)
        throw new Error('poisoned')
      }
      const running = await world.start(createDesk(hanging), { partitions: 1, handlingMs: 30_000 })
      await call(running, feed.send, keys('bad', 300))
      await world.host.advance(1_000)
      await call(running, feed.send, [...Array.from({ length: 200 }, () => 'bad-often'), ...keys('good', 100)])
      await world.host.advance(10)
      assert.equal(await call(running, desk.handled, 'good'), 100)
      await world.host.advance(31_000)
      await call(running, feed.send, [...Array.from({ length: 200 }, () => 'bad-often'), ...keys('better', 100)])
      await world.host.advance(10)
      assert.equal(await call(running, desk.handled, 'better'), 100)
    }))

  it('do not hold up the batches of a projection', () =>
    inWorld(async (world) => {
      const slow = slowDesk(world)
      const running = await world.start(
        createBoard(poisoned),
        { partitions: 1, readBatchMax: 16, retryDelayMs: 100, retryDelayMsMax: 100 },
        slow,
      )
      await call(running, feed.send, keys('bad', 500))
      await slow.during(async () => {
        await world.host.advance(500) // all are held, and due again
        await call(running, feed.send, keys('good', 320))
        await world.host.advance(100)
        assert.equal(await call(running, desk.handled, 'good'), 320)
      })
    }))

  for (const [what, create] of [
    ['a handler', createDesk],
    ['a projection', createBoard],
  ] as const) {
    it(`are all tried again by ${what}, and handled when they can be`, () =>
      inWorld(async (world) => {
        let failing = true
        const running = await world.start(
          create((key) => {
            if (failing) throw new Error(`${key} is poisoned`)
          }),
          { partitions: 1, retriesInFlightMax: 2, attemptsMax: 100 },
        )
        await call(running, feed.send, [...keys('bad', 150), ...keys('bad', 150)])
        await world.host.advance(30_000)
        failing = false
        await world.host.advance(100_000)
        assert.equal(await call(running, desk.handled, 'bad'), 300)
        const [row] = await running.admin.ledger()
        assert.deepEqual([row!.handled, row!.pending, row!.parked, row!.dead, row!.balanced], [300, 0, 0, 0, true])
      }))
  }

  it('let a later one go on that comes in the very moment in which the last before it is handled', () =>
    inWorld(async (world) => {
      const slow = slowDesk(world)
      let tries = 0
      const running: RunningSystem = await world.start(
        createDesk(() => {
          if (++tries === 1) throw new Error('not now')
          // it arrives while the transaction of this try waits for its turn
          if (tries === 2) void call(running, feed.send, ['one'])
        }),
        { partitions: 1 },
        slow,
      )
      await call(running, feed.send, ['one'])
      await slow.during(() => world.host.advance(1_000))
      assert.equal(tries, 3)
      assert.equal(await call(running, desk.handled, 'one'), 2)
      assert.ok((await running.admin.ledger()).every((row) => row.balanced && row.parked === 0))
    }))

  it('let the one behind go on after a restart, though the process ends right behind the commit in which the first is handled', () =>
    inWorld(async (world) => {
      let isFailing = true
      const stores = endingBehind(
        world.stores,
        async ({ name, reader }) =>
          name === 'desk' && !isFailing && (await reader.all({ sql: 'SELECT seq FROM atoll_held' })).length === 1,
      )
      const first = await world.start(
        createDesk(() => {
          if (isFailing) throw new Error('not now')
        }),
        { partitions: 1, retryDelayMs: 1_000 },
        { stores },
      )
      await call(first, feed.send, ['one', 'one'])
      await world.host.advance(500)
      isFailing = false
      await world.host.advance(1_000)
      await first.stop({ drainMs: 0 })
      const second = await world.start(
        createDesk(() => {}),
        { partitions: 1 },
      )
      await world.host.advance(100_000)
      assert.equal(await call(second, desk.handled, 'one'), 2)
    }))

  for (const [what, create] of [
    ['a handler', createDesk],
    ['a projection', createBoard],
  ] as const) {
    it(`are not overtaken in ${what} by what arrives while their partition is being opened`, () =>
      inWorld(async (world) => {
        const first = await world.start(create(poisoned), {
          partitions: 1,
          retryDelayMs: 5_000,
          retryDelayMsMax: 5_000,
        })
        await call(first, feed.send, ['bad'])
        await first.quiet()
        await first.stop()
        const gate = Promise.withResolvers<void>()
        let tries = 0
        const stores = changedReads(world.stores, async ({ sql }) =>
          sql.includes('FROM atoll_held') ? gate.promise : undefined,
        )
        const opening = world.start(
          create(() => void tries++),
          { partitions: 1, services: ['desk'] },
          { stores },
        )
        await world.host.advance(10)
        const feeding = await world.start(create(poisoned), { partitions: 1, services: ['feed'] })
        await call(feeding, feed.send, ['bad'])
        await world.host.advance(100)
        gate.resolve()
        await opening
        await world.host.advance(100)
        assert.equal(tries, 0)
        await world.host.advance(10_000)
        assert.equal(tries, 2)
      }))
  }

  it('are tried within their delay although the wall clock is set back, while they wait or between two starts', () =>
    inWorld(async (world) => {
      let tries = 0
      const failing = createDesk(() => {
        tries++
        throw new Error('poisoned')
      })
      const options = { partitions: 1, retryDelayMs: 1_000, retryDelayMsMax: 1_000, attemptsMax: 100 }
      const first = await world.start(failing, options)
      await call(first, feed.send, ['one'])
      await first.quiet()
      world.host.jump(-3_600_000)
      await world.host.advance(1_260) // a delay, and its jitter
      assert.equal(tries, 2)
      await first.stop()
      world.host.jump(-3_600_000)
      await world.start(failing, options)
      await world.host.advance(1_260)
      assert.equal(tries, 3)
    }))

  it('come in pages when a subscription begins, and are tried beside what is new', () =>
    inWorld(async (world) => {
      const first = await world.start(createDesk(poisoned), { partitions: 1, retryDelayMs: 60_000 })
      await call(first, feed.send, keys('bad', 2_500))
      await first.quiet()
      await first.stop()
      await world.host.advance(80_000)
      let rowsMax = 0
      const stores = counted(world.stores, (rows) => (rowsMax = Math.max(rowsMax, rows)))
      const second = await world.start(createDesk(poisoned), { partitions: 1, retryDelayMs: 60_000 }, { stores })
      await call(second, feed.send, keys('good', 100))
      await world.host.advance(10)
      assert.equal(await call(second, desk.handled, 'good'), 100)
      assert.equal(rowsMax, 1_000)
      await second.quiet()
      const store = await world.stores.open('desk', runtimeMigrations)
      assert.deepEqual(
        await store.reader.all({ sql: 'SELECT attempts, count(*) AS count FROM atoll_held GROUP BY attempts' }),
        [{ attempts: 2, count: 2_500 }],
      )
    }))

  it('are logged one by one as long as they are few, and then counted', () =>
    inWorld(async (world) => {
      const running = await world.start(
        createDesk(() => {
          throw new Error('poisoned')
        }),
        { partitions: 4, attemptsMax: 1 },
      )
      await call(running, feed.send, keys('bad', 3_000))
      await running.quiet()
      await world.host.advance(10_000)
      const said = world.logged.filter(({ level }) => level === 'error')
      assert.equal(said.length, 21)
      assert.deepEqual(said[20]!.fields, { subscription: 'desk', retrying: 0, dead: 2_980, withinMs: 10_000 })
    }))
})
