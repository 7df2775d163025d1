import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import type { StoreDriver, Transaction } from '@atoll/store/driver'
import { z } from 'zod'
import {
  command,
  contract,
  event,
  service,
  system,
  type CommandContext,
  type EventContext,
  type System,
} from '../index.ts'
import { call, changedTransaction, changedWrites, inWorld, type World } from '../../test/world.ts'
import { runtimeMigrations } from './schema.ts'

// A service that handles its own events, as the test says.

const taken = event('note.taken', {
  version: 1,
  key: ({ id }) => (/\d/.test(id) ? 'numbers' : id),
  data: z.object({ id: z.string() }),
})
const notes = contract('notes', {
  events: [taken],
  take: command({ input: taken.data, output: z.string() }),
  takeAll: command({ input: z.array(z.string()), output: z.void() }),
})

type Handle = (context: EventContext<{}, { id: string }, typeof taken>) => unknown
type Take = (context: CommandContext<{}, { id: string }, 'none', typeof taken>) => Promise<string>

const taking: Take = ({ input, tx }) =>
  tx(({ emit }) => {
    emit(taken, input)
    return 'taken'
  })

function createTown(handle: Handle, take: Take = taking): System {
  return system('town', {
    services: [
      service(notes, {
        handlers: {
          take,
          takeAll: async ({ input, tx }) =>
            void (await tx(({ emit }) => {
              for (const id of input) emit(taken, { id })
            })),
        },
        subscribe: ({ on }) => [on(taken, handle)],
      }),
    ],
  })
}

const lasting = (world: World, ms: number): Promise<void> =>
  new Promise((resolve) => void world.host.after(ms, resolve))

describe('a handler that opens no transaction', () => {
  for (const [when, failures] of [
    ['at its first try', 0],
    ['when its event is held', 1],
  ] as const) {
    it(`settles nothing once its time has run out ${when}: the try that is in time counts, and once`, () =>
      inWorld(async (world) => {
        let tries = 0
        const running = await world.start(
          createTown(() => {
            if (++tries <= failures) throw new Error('not now')
            return lasting(world, tries === failures + 1 ? 1_500 : 900)
          }),
          { handlingMs: 1_000, retryDelayMs: 100, partitions: 1 },
        )
        await call(running, notes.take, { id: 'a' })
        await world.host.advance(20_000)
        const [row] = await running.admin.ledger()
        assert.deepEqual([tries, row!.handled, row!.pending, row!.dead, row!.balanced], [failures + 2, 1, 0, 0, true])
      }))
  }

  it('settles once when its time runs out in the midst of that commit', () =>
    inWorld(async (world) => {
      let isSlow = false
      const stores = changedWrites(world.stores, (store, work) =>
        store
          .write(async (tx) => work(tx))
          .then(async (result) => {
            if (isSlow) await lasting(world, 500) // it has committed, and nobody hears of it yet
            return result
          }),
      )
      const running = await world.start(
        createTown(async () => {
          await lasting(world, 900)
          isSlow = true
        }),
        { handlingMs: 1_000, leaseMs: 1_000_000, partitions: 1 },
        { stores },
      )
      await call(running, notes.take, { id: 'a' })
      await world.host.advance(1_000)
      isSlow = false
      await world.host.advance(10_000)
      const [row] = await running.admin.ledger()
      assert.deepEqual([row!.handled, row!.balanced], [1, true])
    }))
})

describe('a command that catches what its transaction failed with', () => {
  it('is answered with a key as it is without, and again when it is sent again', () =>
    inWorld(async (world) => {
      let runs = 0
      const running = await world.start(
        createTown(
          () => {},
          async ({ input, tx }) => {
            runs++
            try {
              return await tx(({ emit }) => {
                emit(taken, input)
                throw new Error('somebody was faster')
              })
            } catch {
              return 'there is one'
            }
          },
        ),
      )
      const send = async (idempotencyKey?: string): Promise<unknown> =>
        (await running.dispatch('notes.take', { input: { id: 'a' }, idempotencyKey })).output
      assert.deepEqual(
        [await send(), await send('key'), await send('key')],
        ['there is one', 'there is one', 'there is one'],
      )
      assert.equal(runs, 2)
      assert.deepEqual(await Array.fromAsync(running.admin.events({})), [])
    }))
})

describe('a process that stops while it is careful', () => {
  it('handles what it has in hand of a key in order, noted or not', () =>
    inWorld(async (world) => {
      const options = { partitions: 1, leaseMs: 3_000, handlingsInFlightMax: 4 }
      const handled: string[] = []
      const noting = createTown(async ({ event }) => {
        await lasting(world, 100)
        handled.push(event.data.id)
      })
      const first = await world.start(
        createTown(() => new Promise<void>(() => {})),
        { ...options, instance: 'a' },
      )
      await first.dispatch('notes.takeAll', { input: ['1', '2', '3', '4', '5', '6'] })
      await world.host.advance(500)
      world.host.jump(60_000) // its process is gone, as far as others can tell
      const second = await world.start(noting, { ...options, instance: 'b' })
      await world.host.advance(150)
      const stopping = second.stop()
      await world.host.advance(2_000)
      await stopping
      await world.start(noting, { ...options, instance: 'c' })
      await world.host.advance(5_000)
      assert.deepEqual(handled, ['1', '2', '3', '4', '5', '6'])
    }))
})

describe('a process that is careful', () => {
  const options = { partitions: 1, leaseMs: 3_000, retryDelayMs: 10 }
  const hanging = createTown(() => new Promise<void>(() => {}))

  /** What a process notes before it tries it: numbers and tries, transaction by transaction. */
  function watchNotes(world: World): { stores: StoreDriver; notes: string[][] } {
    const notes: string[][] = []
    const stores = changedWrites(world.stores, (store, work, writing) =>
      store.write((tx) => {
        const runEach: Transaction['runEach'] = (statement, rows) => {
          if (statement.sql.includes('INTO atoll_tries') && rows.length > 0)
            notes.push(rows.map(([, , , number, attempt]) => `${String(number)}: ${String(attempt)}`))
          return tx.runEach(statement, rows)
        }
        return work(changedTransaction(tx, { runEach }))
      }, writing),
    )
    return { stores, notes }
  }

  /** Runs a process in which every handling hangs, until it is gone. Resolves with what it noted. */
  async function startAndEnd(world: World, instance: string, taken: readonly string[] = []): Promise<string[][]> {
    const { stores, notes } = watchNotes(world)
    const running = await world.start(hanging, { ...options, instance }, { stores })
    if (taken.length > 0) await running.dispatch('notes.takeAll', { input: taken })
    await world.host.advance(500)
    world.host.jump(60_000) // its process is gone, as far as others can tell
    return notes
  }

  it('notes in one transaction what it then tries side by side', () =>
    inWorld(async (world) => {
      const ids = Array.from({ length: 40 }, (_, nth) => 'x'.repeat(nth + 1)) // each of a key of its own
      await startAndEnd(world, 'a', ids)
      const handled: string[] = []
      const { stores, notes } = watchNotes(world)
      await world.start(
        createTown(({ event }) => void handled.push(event.data.id)),
        { ...options, instance: 'b' },
        { stores },
      )
      await world.host.advance(1_000)
      assert.equal(handled.length, 40)
      assert.deepEqual(notes, [ids.map((_, nth) => `${nth + 1}: 0`)])
    }))

  it('accuses none that was not in hand: what waits behind one of its key, or behind one that is tried alone', () =>
    inWorld(async (world) => {
      await startAndEnd(world, 'a', ['a', 'b', '1', '2', 'c']) // those with a digit are of one key
      assert.deepEqual(await startAndEnd(world, 'b'), [['1: 0', '2: 0', '3: 0', '5: 0']])
      assert.deepEqual(await startAndEnd(world, 'c'), [['1: 1']])
    }))

  it('keeps the note of a try that was cut off until that has counted', () =>
    inWorld(async (world) => {
      await startAndEnd(world, 'a', ['a', 'b'])
      for (const instance of ['b', 'c']) await startAndEnd(world, instance)
      const notes = (await startAndEnd(world, 'd')).flat()
      assert.ok(notes.includes('2: 1'), 'the other one is tried alone')
      assert.deepEqual(
        notes.filter((note) => note.endsWith(': 0')),
        [],
      )
    }))
})

describe('a dead letter', () => {
  it('is not said to be gone by a redrive whose store fails', () =>
    inWorld(async (world) => {
      let isAway = false
      let isBad = true
      const stores = changedWrites(world.stores, (store, work) =>
        isAway ? Promise.reject(new AtollError('UNAVAILABLE', 'the store is away')) : store.write(work),
      )
      const running = await world.start(
        createTown(({ tx }) =>
          tx(() => {
            if (isBad) throw new Error('not this one')
          }),
        ),
        { attemptsMax: 1, partitions: 1 },
        { stores },
      )
      for (const id of ['a', 'b']) await call(running, notes.take, { id })
      await running.quiet()
      const [letter] = await running.admin.deadLetters()
      isBad = false
      isAway = true
      await assert.rejects(Array.fromAsync(running.admin.redrive({ id: letter!.id })), { code: 'UNAVAILABLE' })
      isAway = false
      await world.host.advance(10_000)
      assert.deepEqual(
        (await Array.fromAsync(running.admin.redrive({}))).map(({ outcome }) => outcome),
        ['handled', 'handled'],
      )
    }))

  it('of what ended its process leaves nothing to be careful about', () =>
    inWorld(async (world) => {
      const options = { attemptsMax: 2, partitions: 1, leaseMs: 3_000, handlingMs: 1e9, retryDelayMs: 10 }
      const town = createTown(({ event }) => (event.data.id === 'bad' ? new Promise<void>(() => {}) : undefined))
      for (const instance of ['a', 'b', 'c', 'd']) {
        const running = await world.start(town, { ...options, instance })
        if (instance === 'a') await call(running, notes.take, { id: 'bad' })
        await world.host.advance(500)
        world.host.jump(60_000) // its process is gone, as far as others can tell
      }
      const last = await world.start(town, { ...options, instance: 'e' })
      await call(last, notes.take, { id: 'good' })
      await world.host.advance(5_000)
      assert.deepEqual(
        (await last.admin.deadLetters()).map(({ error }) => error.code),
        ['PROCESS_ENDED'],
      )
      const { reader } = await world.stores.open('notes', runtimeMigrations)
      assert.deepEqual(await reader.all({ sql: `SELECT * FROM atoll_ends WHERE subscription = 'notes'` }), [])
    }))
})
