import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import { createMemoryLog, createMemoryStorage, type MemoryStorage } from '@atoll/log/memory'
import { z } from 'zod'
import { command, contract, event, service, system, type System } from '../../index.ts'
import { call, inWorld, type World } from '../../../test/world.ts'
import type { RunningSystem, RuntimeOptions } from '../../runtime.ts'

const Note = z.object({ id: z.string() })
const taken = event('note.taken', { version: 1, key: () => 'all', data: Note })
const copied = event('note.copied', { version: 1, key: () => 'all', data: Note })
const due = event('note.due', { version: 1, key: () => 'all', data: Note })
const notes = contract('notes', { events: [taken], take: command({ input: Note, output: z.void() }) })
const copies = contract('copies', {
  events: [copied, due],
  remind: command({ input: Note.extend({ afterMs: z.int() }), output: z.void() }),
})
const files = contract('files', { events: [] })

/** Notes are copied, and copies filed. `filed`: which events, by their ids and by what they are about. */
function createTown(filed: { id: string; about: string }[], isLate: (id: string) => boolean = () => false): System {
  const file = async ({
    event: { id, data },
    tx,
  }: {
    event: { id: string; data: { id: string } }
    tx: (work: () => void) => Promise<void>
  }): Promise<void> => tx(() => void filed.push({ id, about: data.id }))
  return system('town', {
    services: [
      service(notes, {
        handlers: { take: async ({ input, tx }) => void (await tx(({ emit }) => emit(taken, input))) },
      }),
      service(copies, {
        handlers: {
          remind: async ({ input, tx }) =>
            void (await tx(({ schedule }) => schedule(due, { id: input.id }, { afterMs: input.afterMs }))),
        },
        subscribe: ({ on }) => [
          on(taken, async ({ event, tx }) => {
            if (isLate(event.data.id)) throw new Error('not yet')
            await tx(({ emit }) => emit(copied, event.data))
          }),
        ],
      }),
      service(files, { handlers: {}, subscribe: ({ on }) => [on(copied, file), on(due, file)] }),
    ],
  })
}

/** A log that can be away. */
function createLog(storage: MemoryStorage): Log & { isAway: boolean } {
  const memory = createMemoryLog({ storage })
  const orAway =
    <Args extends unknown[], T>(work: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      if (log.isAway) throw new AtollError('UNAVAILABLE', 'the log is away')
      return work(...args)
    }
  const log = {
    ...memory,
    append: orAway(memory.append),
    read: orAway(memory.read),
    tail: orAway(memory.tail),
    isAway: false,
  }
  return log
}

const options = { partitions: 1 }

/**
 * Copies, with the log, as they were when they had nothing but a try and a timer ahead of them, while files has handled
 * two of what they emitted since.
 */
async function restored(
  world: World,
  work: (restored: {
    filed: { id: string; about: string }[]
    start(log: Log, more?: Partial<RuntimeOptions>): Promise<RunningSystem>
    log: Log & { isAway: boolean }
  }) => Promise<void>,
): Promise<void> {
  let isLate = true
  const filed: { id: string; about: string }[] = []
  const town = createTown(filed, (id) => isLate && id === 'late')
  const [early, late] = [createMemoryStorage(), createMemoryStorage()]
  const patient = { ...options, retryDelayMs: 2_000, retryDelayMsMax: 2_000 }
  // What was there at the moment of the backup, in a log of its own; files sees another one, in which there is more.
  const before = await world.start(
    town,
    { ...patient, services: ['notes', 'copies'] },
    { log: createMemoryLog({ storage: early }) },
  )
  await call(before, notes.take, { id: 'late' })
  await call(before, copies.remind, { id: 'timer', afterMs: 1_000 })
  await world.host.advance(100)
  await before.stop({ drainMs: 0 })
  const ahead = createMemoryLog({ storage: late })
  await ahead.append(
    'copies',
    [1, 2, 3].map((number) => ({
      partition: 0,
      number,
      order: String(number),
      id: `lost-${number}`,
      type: copied.name,
      version: 1,
      key: 'all',
      at: 0,
      data: JSON.stringify({ id: `lost-${number}` }),
      trace: '',
      cause: '',
    })),
  )
  const filing = await world.start(town, { ...patient, services: ['files'] }, { log: ahead })
  await world.host.advance(2_000)
  await filing.stop()
  assert.deepEqual(
    filed.splice(0).map(({ id }) => id),
    ['lost-1', 'lost-2', 'lost-3'],
  )
  isLate = false
  await work({
    filed,
    log: createLog(early),
    start: (log, more) => world.start(town, { ...patient, ...more }, { log }),
  })
}

async function assertFiled(
  world: World,
  running: RunningSystem,
  filed: readonly { id: string; about: string }[],
): Promise<void> {
  await world.host.advance(20_000)
  await call(running, notes.take, { id: 'new' })
  await world.host.advance(2_000)
  const emitted: string[] = []
  for await (const { type, id } of running.admin.events({ source: 'copies' })) if (type !== '@lost') emitted.push(id)
  assert.deepEqual(filed.map(({ about }) => about).sort(), ['late', 'new', 'timer'])
  assert.deepEqual(filed.map(({ id }) => id).sort(), emitted.sort(), 'each event that there is, once')
}

describe('a source and its log that were restored, with tries and timers ahead of them', () => {
  it('emit nothing before their subscriber in the same process has told which numbers it has passed, so that it handles all of it', () =>
    inWorld((world) =>
      restored(world, async ({ filed, start, log }) => {
        // The subscriber takes its time to find out that the log ends before it.
        let isSlow = true
        const read: Log['read'] = async (source, ...place) => {
          if (isSlow && source === 'copies') await new Promise<void>((resolve) => void world.host.after(100, resolve))
          return log.read(source, ...place)
        }
        const starting = start({ ...log, read })
        await world.host.advance(10_000)
        isSlow = false
        await assertFiled(world, await starting, filed)
      }),
    ))

  it('nor while the log is away at the start', () =>
    inWorld((world) =>
      restored(world, async ({ filed, start, log }) => {
        log.isAway = true
        const running = await start(log)
        await world.host.advance(20_000)
        assert.equal(running.readiness().ready, false)
        await assert.rejects(call(running, copies.remind, { id: 'timer', afterMs: 1 }), {
          code: 'UNAVAILABLE',
          message: /what it emits now would be skipped/,
        })
        log.isAway = false
        await assertFiled(world, running, filed)
      }),
    ))

  it('start all the same where the log takes no appends, and go on once it does', () =>
    inWorld((world) =>
      restored(world, async ({ filed, start, log }) => {
        let isFull = true
        const refusing: Log = {
          ...log,
          append: (...args) =>
            isFull ? Promise.reject(new AtollError('UNAVAILABLE', 'the log takes nothing')) : log.append(...args),
        }
        const starting = start(refusing)
        await world.host.advance(30_000)
        const running = await starting
        assert.match(
          running.readiness().reasons.join(),
          /the relay of copies cannot hand events to the log, and tries again/,
        )
        isFull = false
        await assertFiled(world, running, filed)
      }),
    ))

  it('give up no numbers once they have emitted others under them, and say so at every start', () =>
    inWorld((world) =>
      restored(world, async ({ filed, start, log }) => {
        // too few, so what was late, and the timer, take two of them
        const first = await start(log, { lostNumbersMax: 1 })
        await world.host.advance(20_000)
        await first.stop()
        for (let nth = 0; nth < 2; nth++) {
          world.logged.length = 0
          const running = await start(log)
          await world.host.advance(2_000)
          assert.match(running.readiness().reasons.join('\n'), /files is halted: LOG_/)
          const alarms = world.logged.filter(({ message }) =>
            message.startsWith('ALARM: files has handled events of copies'),
          )
          assert.match(
            alarms.map(({ message }) => message).join('\n'),
            /copies has emitted others since under their numbers, so files is halted, and skips none/,
          )
          await running.stop()
        }
        assert.deepEqual(filed, [])
      }),
    ))
})

describe('a service whose store is found to be older than the log', () => {
  for (const [when, isAway] of [
    ['at its start', false],
    ['when the log is back long after its start', true],
  ] as const) {
    it(`handles nothing, ${when}`, () =>
      inWorld(async (world) => {
        const handled: string[] = []
        const town = createTown([], (id) => (handled.push(id), false))
        const log = createLog(createMemoryStorage())
        const first = await world.start(town, options, { log })
        for (const id of ['a', 'b']) await call(first, notes.take, { id })
        await first.quiet()
        await first.stop()
        await world.stores.remove('copies')
        handled.length = 0
        log.isAway = isAway
        const second = await world.start(town, options, { log })
        await world.host.advance(20_000)
        log.isAway = false
        await world.host.advance(60_000)
        assert.match(second.readiness().reasons.join('\n'), /the relay of copies is halted: STORE_OUTDATED/)
        assert.deepEqual(handled, [])
      }))
  }

  it('ends handling when that is found by the next event that it hands on', () =>
    inWorld(async (world) => {
      const handled: string[] = []
      const town = createTown([], (id) => (handled.push(id), false))
      const log = createLog(createMemoryStorage())
      const running = await world.start(town, options, { log })
      await call(running, notes.take, { id: 'a' })
      await running.quiet()
      // As after a failover of its store that has lost its last commits: the log has an event that the store does not
      // know.
      await log.append('copies', [
        {
          partition: 0,
          number: 2,
          order: '2',
          id: 'unknown',
          type: copied.name,
          version: 1,
          key: 'all',
          at: 0,
          data: '{"id":"b"}',
          trace: '',
          cause: '',
        },
      ])
      await call(running, notes.take, { id: 'c' })
      await world.host.advance(15_000)
      assert.match(running.readiness().reasons.join('\n'), /the relay of copies is halted: LOG_DIVERGED/)
      handled.length = 0
      await call(running, notes.take, { id: 'd' })
      await world.host.advance(15_000)
      assert.deepEqual(handled, [])
    }))
})
