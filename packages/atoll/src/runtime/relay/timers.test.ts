import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { sqlStore } from '@atoll/store'
import type { Reader, Statement, StoreDriver, Value } from '@atoll/store/driver'
import { z } from 'zod'
import { command, contract, event, query, service, system } from '../../index.ts'
import { call, changedWrites, endingBehind, inWorld } from '../../../test/world.ts'

const Reminder = z.object({ id: z.string() })
const reminded = event('person.reminded', { version: 1, key: ({ id }) => id, data: Reminder })
const clock = contract('clock', {
  remind: command({ input: z.object({ id: z.string(), afterMs: z.int() }), output: z.object({ timerId: z.string() }) }),
  remindAt: command({ input: z.object({ id: z.string(), at: z.int() }), output: z.void() }),
  forget: command({
    input: z.object({ timerId: z.string(), fails: z.boolean().default(false) }),
    output: z.object({ wasThere: z.boolean() }),
  }),
  reconsider: command({ input: z.object({ id: z.string() }), output: z.array(z.boolean()) }),
  seen: query({ input: z.object({}), output: z.array(z.string()) }),
})

function createClock() {
  return system('clocks', {
    services: [
      service(clock, {
        store: sqlStore<{ seen: { seq?: number; id: string } }>({
          migrations: { '0001-seen': 'CREATE TABLE seen (seq INTEGER PRIMARY KEY, id TEXT)' },
        }),
        events: [reminded],
        subscribe: ({ on }) => [
          on(reminded, ({ event, tx }) =>
            tx(({ db }) => db.insertInto('seen').values({ id: event.data.id }).execute()),
          ),
        ],
        handlers: {
          remind: ({ input, tx }) =>
            tx(({ schedule }) => ({ timerId: schedule(reminded, { id: input.id }, { afterMs: input.afterMs }) })),
          remindAt: async ({ input, tx }) => {
            await tx(({ schedule }) => void schedule(reminded, { id: input.id }, { at: input.at }))
          },
          forget: ({ input, tx }) =>
            tx(async ({ cancel }) => {
              const wasThere = await cancel(input.timerId)
              if (input.fails) throw new Error('not now')
              return { wasThere }
            }),
          reconsider: ({ input, tx }) =>
            tx(async ({ schedule, cancel }) => {
              const [kept, dropped] = [0, 0].map(() => schedule(reminded, input, { afterMs: 1_000 })) as [
                string,
                string,
              ]
              const told = [await cancel(dropped), await cancel(dropped)]
              void cancel(kept) // nobody has to wait for it
              return told
            }),
          seen: async ({ db }) =>
            (await db.selectFrom('seen').select('id').orderBy('seq').execute()).map((row) => row.id),
        },
      }),
    ],
  })
}

describe('a timer', () => {
  it('emits its event when its time has come, in order of time, once', () =>
    inWorld(async (world) => {
      const running = await world.start(createClock())
      await call(running, clock.remind, { id: 'late', afterMs: 60_000 })
      await call(running, clock.remind, { id: 'soon', afterMs: 1_000 })
      await world.host.advance(999)
      assert.deepEqual(await call(running, clock.seen, {}), [])
      await world.host.advance(2)
      assert.deepEqual(await call(running, clock.seen, {}), ['soon'])
      await world.host.advance(120_000)
      assert.deepEqual(await call(running, clock.seen, {}), ['soon', 'late'])
    }))

  it('survives a restart, and fires late rather than never', () =>
    inWorld(async (world) => {
      const first = await world.start(createClock())
      await call(first, clock.remind, { id: 'a', afterMs: 1_000 })
      await first.stop()
      await world.host.advance(5_000)
      const second = await world.start(createClock())
      await world.host.advance(10)
      assert.deepEqual(await call(second, clock.seen, {}), ['a'])
    }))

  it('fires once, though its process ends right behind the commit in which it fires', () =>
    inWorld(async (world) => {
      let isTime = false
      const stores = endingBehind(
        world.stores,
        async ({ reader }) => isTime && (await reader.all({ sql: 'SELECT seq FROM atoll_outbox' })).length > 0,
      )
      const first = await world.start(createClock(), {}, { stores })
      await call(first, clock.remind, { id: 'a', afterMs: 1_000 })
      await world.host.advance(500)
      isTime = true
      await world.host.advance(1_000)
      await first.stop({ drainMs: 0 })
      const second = await world.start(createClock())
      await world.host.advance(70_000)
      assert.deepEqual(await call(second, clock.seen, {}), ['a'])
    }))

  it('is tried again now and then, and not without end, while its store can be read and not written', () =>
    inWorld(async (world) => {
      let [isFull, tries] = [false, 0]
      const stores = changedWrites(world.stores, async (store, work) => {
        if (!isFull) return store.write(work)
        tries++
        throw new AtollError('STORE_FULL', 'the disk has no room')
      })
      const running = await world.start(createClock(), { lookMs: 1_000, leaseMs: 60_000 }, { stores })
      await call(running, clock.remind, { id: 'a', afterMs: 1_000 })
      await world.host.advance(500)
      isFull = true
      await world.host.advance(10_000)
      assert.ok(tries <= 10, `${tries} tries in ten seconds`)
      isFull = false
      await world.host.advance(1_000)
      assert.deepEqual(await call(running, clock.seen, {}), ['a'])
    }))

  it('is refused as its emitter wrote it when no clock will ever show its time', () =>
    inWorld(async (world) => {
      for (const when of [{ afterMs: 1e300 }, { afterMs: -1e300 }, { at: 2 ** 63 }, { at: NaN }, { at: -Infinity }]) {
        const setter = contract('setter', {
          events: [reminded],
          remind: command({ input: Reminder, output: z.void() }),
        })
        const services = [
          service(setter, {
            handlers: {
              remind: async ({ input, tx }) => {
                await tx(({ schedule }) => void schedule(reminded, input, when))
              },
            },
          }),
        ]
        const running = await world.start(system('clocks', { services }))
        await assert.rejects(call(running, setter.remind, { id: 'a' }), {
          code: 'EVENT_INVALID',
          message: /person\.reminded cannot be scheduled at/,
        })
        await running.stop()
      }
    }))

  it('keeps no service from starting whose store is full, and fires once there is room', () =>
    inWorld(async (world) => {
      const first = await world.start(createClock())
      await call(first, clock.remind, { id: 'a', afterMs: 1_000 })
      await first.stop()
      let isFull = true
      const stores = changedWrites(world.stores, (store, work) =>
        isFull ? Promise.reject(new AtollError('STORE_FULL', 'the disk has no room')) : store.write(work),
      )
      const second = await world.start(createClock(), {}, { stores })
      assert.deepEqual(await call(second, clock.seen, {}), [])
      assert.match(second.readiness().brief.join(), /STORE_FULL/)
      await world.host.advance(10_000)
      isFull = false
      await world.host.advance(20_000)
      assert.deepEqual(await call(second, clock.seen, {}), ['a'])
      assert.deepEqual(second.readiness().reasons, [])
    }))

  it('does not fire once it is cancelled', () =>
    inWorld(async (world) => {
      const running = await world.start(createClock())
      const { timerId } = await call(running, clock.remind, { id: 'a', afterMs: 1_000 })
      await call(running, clock.forget, { timerId })
      await world.host.advance(5_000)
      assert.deepEqual(await call(running, clock.seen, {}), [])
    }))

  it('tells who cancels it whether it was still there: it never fires then; else it has fired, or was cancelled before, or never was', () =>
    inWorld(async (world) => {
      const running = await world.start(createClock())
      const [early, late] = [
        await call(running, clock.remind, { id: 'early', afterMs: 1_000 }),
        await call(running, clock.remind, { id: 'late', afterMs: 2_000 }),
      ]
      const forget = async (timerId: string): Promise<boolean> =>
        (await call(running, clock.forget, { timerId })).wasThere
      await world.host.advance(1_500)
      assert.deepEqual(
        [
          await forget(early.timerId),
          await forget(late.timerId),
          await forget(late.timerId),
          await forget('never set'),
        ],
        [false, true, false, false],
      )
      assert.deepEqual(
        await call(running, clock.reconsider, { id: 'both' }),
        [true, false],
        'one that the same transaction has set',
      )
      await world.host.advance(5_000)
      assert.deepEqual(await call(running, clock.seen, {}), ['early'])
    }))

  it('is still there if whoever cancels it fails afterwards', () =>
    inWorld(async (world) => {
      const running = await world.start(createClock())
      const { timerId } = await call(running, clock.remind, { id: 'a', afterMs: 1_000 })
      await assert.rejects(call(running, clock.forget, { timerId, fails: true }))
      await world.host.advance(2_000)
      assert.deepEqual(await call(running, clock.seen, {}), ['a'])
    }))

  it('fires, or was there for one of those who cancel it in the moment in which it fires, and never both', () =>
    inWorld(async (world) => {
      const a = await world.start(createClock(), { instance: 'a' })
      const b = await world.start(createClock(), { instance: 'b' })
      const telling: Promise<{ id: string; wasThere: boolean }>[] = []
      for (let index = 0; index < 60; index++) {
        const [id, afterMs] = [`t${index}`, 1_000 + index]
        const { timerId } = await call(a, clock.remind, { id, afterMs })
        const forget = (): void => {
          for (const one of [a, b])
            telling.push(call(one, clock.forget, { timerId }).then(({ wasThere }) => ({ id, wasThere })))
        }
        world.host.after(afterMs + (index % 2) / 10, forget)
      }
      await world.host.advance(20_000)
      const told = (await Promise.all(telling)).filter(({ wasThere }) => wasThere).map(({ id }) => id)
      const seen = await call(a, clock.seen, {})
      assert.ok(told.length > 0 && seen.length > 0, `${told.length} were there, ${seen.length} fired`)
      assert.deepEqual([...told, ...seen].sort(), Array.from({ length: 60 }, (_, index) => `t${index}`).sort())
    }))

  it('fires within its delay although the wall clock is set back, once; and at its time, if it was set for one', () =>
    inWorld(async (world) => {
      const running = await world.start(createClock())
      const at = world.host.now() + 600_000
      await call(running, clock.remindAt, { id: 'at', at })
      await call(running, clock.remind, { id: 'later', afterMs: 300_000 })
      await call(running, clock.remind, { id: 'soon', afterMs: 1_000 })
      world.host.jump(-3_600_000)
      await world.host.advance(10_000)
      assert.deepEqual(await call(running, clock.seen, {}), ['soon'])
      await world.host.advance(360_000)
      assert.deepEqual(await call(running, clock.seen, {}), ['soon', 'later'])
      await world.host.advance(at - world.host.now() - 1)
      assert.deepEqual(await call(running, clock.seen, {}), ['soon', 'later'], 'by the clock it is not time')
      await world.host.advance(60_000)
      assert.deepEqual(await call(running, clock.seen, {}), ['soon', 'later', 'at'])
    }))

  it('fires within its delay although the wall clock was set back while nobody was there', () =>
    inWorld(async (world) => {
      const first = await world.start(createClock())
      await call(first, clock.remind, { id: 'a', afterMs: 60_000 })
      await first.stop()
      world.host.jump(-3_600_000)
      const second = await world.start(createClock())
      await world.host.advance(61_000)
      assert.deepEqual(await call(second, clock.seen, {}), ['a'])
    }))

  it('does not fire twice when two instances look at the same time', () =>
    inWorld(async (world) => {
      const a = await world.start(createClock(), { instance: 'a' })
      await world.start(createClock(), { instance: 'b' })
      for (let id = 0; id < 20; id++) await call(a, clock.remind, { id: `t${id}`, afterMs: 1_000 })
      await world.host.advance(20_000)
      assert.equal((await call(a, clock.seen, {})).length, 20)
    }))

  it('fires in another instance when the one that set it is gone', () =>
    inWorld(async (world) => {
      const a = await world.start(createClock(), { instance: 'a' })
      const b = await world.start(createClock(), { instance: 'b' })
      await call(b, clock.remind, { id: 'of b', afterMs: 20_000 })
      await b.stop()
      await world.host.advance(100_000)
      assert.deepEqual(await call(a, clock.seen, {}), ['of b'])
    }))

  it('is not forgotten for an answer that its store gave late', () =>
    inWorld(async (world) => {
      let release: (() => void) | undefined
      let isSlow = false
      const stores: StoreDriver = {
        ...world.stores,
        async open(name, migrations) {
          const store = await world.stores.open(name, migrations)
          const { reader } = store
          const get: Reader['get'] = async <Row>(statement: Statement, params?: readonly Value[]) => {
            const row = await reader.get<Row>(statement, params)
            if (isSlow && statement.sql.includes('min(due_at)')) {
              isSlow = false
              await new Promise<void>((resolve) => (release = resolve))
            }
            return row
          }
          return {
            ...store,
            reader: new Proxy(reader, { get: (target, member) => (member === 'get' ? get : bound(target, member)) }),
          }
        },
      }
      const running = await world.start(createClock(), {}, { stores })
      await call(running, clock.remind, { id: 'first', afterMs: 50 })
      isSlow = true // what is asked once that has fired sees no timer
      await world.host.advance(60)
      await call(running, clock.remind, { id: 'second', afterMs: 1_000 })
      release!()
      await world.host.advance(2_000)
      assert.deepEqual(await call(running, clock.seen, {}), ['first', 'second'])
    }))
})

function bound<T extends object>(target: T, member: string | symbol): unknown {
  const value = target[member as keyof T]
  return typeof value === 'function' ? value.bind(target) : value
}
