import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sqlStore } from '@atoll/store'
import { z } from 'zod'
import { command, contract, event, query, service, system } from '../index.ts'
import { call, inWorld } from '../../test/world.ts'

const Reminder = z.object({ id: z.string() })
const reminded = event('person.reminded', { version: 1, key: ({ id }) => id, data: Reminder })
const clock = contract('clock', {
  remind: command({ input: z.object({ id: z.string(), afterMs: z.int() }), output: z.object({ timerId: z.string() }) }),
  forget: command({ input: z.object({ timerId: z.string() }), output: z.void() }),
  seen: query({ input: z.object({}), output: z.array(z.string()) }),
})

function createClock() {
  return system('clocks', {
    services: [
      service(clock, {
        store: sqlStore<{ seen: { seq?: number; id: string } }>({ migrations: { '0001-seen': 'CREATE TABLE seen (seq INTEGER PRIMARY KEY, id TEXT)' } }),
        events: [reminded],
        subscribe: ({ on }) => [on(reminded, ({ event, tx }) => tx(({ db }) => db.insertInto('seen').values({ id: event.data.id }).execute()))],
        handlers: {
          remind: ({ input, tx }) => tx(({ schedule }) => ({ timerId: schedule(reminded, { id: input.id }, { afterMs: input.afterMs }) })),
          forget: async ({ input, tx }) => { await tx(({ cancel }) => cancel(input.timerId)) },
          seen: async ({ db }) => (await db.selectFrom('seen').select('id').orderBy('seq').execute()).map((row) => row.id),
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

  it('does not fire once it is cancelled', () =>
    inWorld(async (world) => {
      const running = await world.start(createClock())
      const { timerId } = await call(running, clock.remind, { id: 'a', afterMs: 1_000 })
      await call(running, clock.forget, { timerId })
      await world.host.advance(5_000)
      assert.deepEqual(await call(running, clock.seen, {}), [])
    }))

  it('fires once and in time order although the wall clock jumps back', () =>
    inWorld(async (world) => {
      const running = await world.start(createClock())
      await call(running, clock.remind, { id: 'a', afterMs: 1_000 })
      world.host.jump(-3_600_000)
      await world.host.advance(10_000)
      assert.deepEqual(await call(running, clock.seen, {}), [], 'by the clock it is not time')
      await world.host.advance(3_600_000)
      assert.deepEqual(await call(running, clock.seen, {}), ['a'])
    }))

  it('does not fire twice when two instances look at the same time', () =>
    inWorld(async (world) => {
      const a = await world.start(createClock(), { instance: 'a' })
      await world.start(createClock(), { instance: 'b' })
      for (let id = 0; id < 20; id++) await call(a, clock.remind, { id: `t${id}`, afterMs: 1_000 })
      await world.host.advance(20_000)
      assert.equal((await call(a, clock.seen, {})).length, 20)
    }))
})
