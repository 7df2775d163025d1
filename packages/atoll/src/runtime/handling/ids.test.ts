import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { z } from 'zod'
import { changedWrites, inWorld, type World } from '../../../test/world.ts'
import { command, contract, event, service, system, type System } from '../../index.ts'
import { derivedId } from './ids.ts'

const Asked = z.object({ name: z.string() })
const asked = event('asker.asked', { version: 1, key: ({ name }) => name, data: Asked })
const answered = event('answerer.answered', {
  version: 1,
  key: ({ name }) => name,
  data: Asked.extend({ ids: z.array(z.string()) }),
})
const asker = contract('asker', {
  events: [asked],
  ask: command({ input: Asked, output: z.object({ id: z.string() }) }),
})
const answerer = contract('answerer', { events: [answered] })

interface Town {
  readonly system: System
  /** What handlers were given, in order. */
  readonly given: string[]
  /** What was answered, by id. */
  readonly seen: string[]
  timer: string | undefined
}

/** Somebody asks, and somebody answers at once and once more later. `trouble` comes before the end of a transaction. */
function createTown(trouble: (name: string) => void = () => {}): Town {
  const town: { timer: string | undefined; given: string[]; seen: string[] } = {
    timer: undefined,
    given: [],
    seen: [],
  }
  const services = [
    service(asker, {
      handlers: {
        ask: ({ input, tx, newId }) =>
          tx(({ emit }) => {
            const id = newId()
            town.given.push(id)
            emit(asked, input)
            trouble(input.name)
            return { id }
          }),
      },
    }),
    service(answerer, {
      handlers: {},
      subscribe: ({ on }) => [
        on(asked, async ({ event: { data }, tx, newId }) => {
          const ids = [newId(), newId()]
          town.given.push(...ids)
          await tx(({ emit, schedule }) => {
            emit(answered, { ...data, ids })
            town.timer = schedule(answered, { ...data, ids }, { afterMs: 1_000 })
            trouble(data.name)
          })
        }),
        on(answered, ({ event: { id } }) => void town.seen.push(id)),
      ],
    }),
  ]
  return Object.assign(town, { system: system('town', { services }) })
}

/** Writes whose outbox is looked at before they commit; while `fails`, none of those that emitted does. */
function watchedWrites(world: World, name: string): { stores: World['stores']; ids: string[][]; fails: boolean } {
  const watched = { ids: [] as string[][], fails: true, stores: world.stores }
  watched.stores = changedWrites(world.stores, (store, work, options) =>
    store.write(async (tx) => {
      const result = await work(tx)
      const rows = await tx.all<{ id: string }>({ sql: 'SELECT id FROM atoll_outbox WHERE type = ?' }, [name])
      if (rows.length === 0) return result
      watched.ids.push(rows.map(({ id }) => id))
      if (watched.fails) throw new AtollError('UNAVAILABLE', 'the store is away')
      return result
    }, options),
  )
  return watched
}

describe('an id that is derived', () => {
  const host = createNodeHost()

  it('is a UUID of version 8 that sorts by the time that it is derived from', () => {
    const ids = [1, 1_800_000_000_000, 1_800_000_000_001].map((at) => derivedId(host, 'a text', at))
    for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.deepEqual(ids.toSorted(), ids)
    assert.equal(z.uuid().safeParse(ids[1]).success, true)
  })

  it('is another for another text, and the same for the same', () => {
    const ids = Array.from({ length: 10_000 }, (_, index) => derivedId(host, `text ${index}`, 1_800_000_000_000))
    assert.equal(new Set(ids).size, ids.length)
    assert.equal(derivedId(host, 'text 7', 1_800_000_000_000), ids[7])
  })
})

describe('a handler of an event that runs again', () => {
  it('gets the ids that it got before', () =>
    inWorld(async (world) => {
      let tries = 0
      const town = createTown((name) => {
        if (name === 'ann' && ++tries === 2) throw new Error('once') // the first is the command's
      })
      const running = await world.start(town.system, { retryDelayMs: 10 })
      await running.dispatch('asker.ask', { input: { name: 'ann' } })
      await world.host.advance(1_000)
      await running.quiet()
      const [, ...ids] = town.given
      assert.equal(ids.length, 4)
      assert.deepEqual(ids.slice(2), ids.slice(0, 2))
      assert.notEqual(ids[0], ids[1])
    }))

  it('emits under the ids under which it emitted before', () =>
    inWorld(async (world) => {
      const town = createTown()
      const watched = watchedWrites(world, 'answerer.answered')
      const running = await world.start(town.system, {}, { stores: watched.stores })
      await running.dispatch('asker.ask', { input: { name: 'ann' } })
      while (watched.ids.length < 3) await world.host.advance(100)
      watched.fails = false
      await world.host.advance(1_000)
      await running.quiet()
      assert.deepEqual(new Set(watched.ids.slice(0, 4).flat()).size, 1)
      assert.equal(town.seen[0], watched.ids[0]![0])
    }))

  it('is told apart from the handler of another event', () =>
    inWorld(async (world) => {
      const town = createTown()
      const running = await world.start(town.system)
      for (const name of ['ann', 'ben']) await running.dispatch('asker.ask', { input: { name } })
      await running.quiet()
      assert.equal(new Set(town.given).size, 6)
      assert.equal(new Set(town.seen).size, 2)
    }))
})

describe('the event of a timer', () => {
  it('has the id of the timer', () =>
    inWorld(async (world) => {
      const town = createTown()
      const running = await world.start(town.system)
      await running.dispatch('asker.ask', { input: { name: 'ann' } })
      await running.quiet()
      await world.host.advance(1_500)
      await running.quiet()
      assert.equal(town.seen.length, 2)
      assert.equal(town.seen[1], town.timer)
    }))
})

describe('a command', () => {
  it('that is sent again with its Idempotency-Key gets the ids that it got before, and its events too', () =>
    inWorld(async (world) => {
      const town = createTown()
      const watched = watchedWrites(world, 'asker.asked')
      const running = await world.start(town.system, {}, { stores: watched.stores })
      const ask = (caller: string, idempotencyKey?: string): Promise<unknown> =>
        running
          .dispatch('asker.ask', { input: { name: 'ann' }, caller: { id: caller, claims: {} }, idempotencyKey })
          .catch(() => {})
      for (const caller of ['u1', 'u1', 'u2']) await ask(caller, 'a key')
      const [first, again, other] = town.given
      assert.equal(again, first)
      assert.notEqual(other, first)
      assert.deepEqual(watched.ids[1], watched.ids[0])
      assert.notDeepEqual(watched.ids[2], watched.ids[0])
    }))

  it('that is sent without one, or after the answer under its key is forgotten, gets fresh ids', () =>
    inWorld(async (world) => {
      const town = createTown()
      const running = await world.start(town.system, { answersKeptMs: 60_000 })
      const ask = (idempotencyKey?: string): Promise<unknown> =>
        running.dispatch('asker.ask', { input: { name: 'ann' }, caller: { id: 'u1', claims: {} }, idempotencyKey })
      for (const key of [undefined, undefined, 'a key']) await ask(key)
      await world.host.advance(200_000)
      await ask('a key')
      await running.quiet()
      const commands = town.given.filter((id) => !town.seen.includes(id))
      assert.equal(new Set(commands).size, commands.length)
    }))
})
