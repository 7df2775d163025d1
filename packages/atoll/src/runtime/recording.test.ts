import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isSoundError, type Logger } from '@atoll/host'
import { sqlStore } from '@atoll/store'
import { z } from 'zod'
import { command, contract, event, projection, service, system, upcast } from '../index.ts'
import { oddErrors } from '../../test/odd-errors.ts'
import { call, inWorld } from '../../test/world.ts'

const Note = z.object({ id: z.string(), odd: z.string() })
const taken = event('note.taken', { version: 1, key: ({ id }) => id, data: Note })
type Fail = (odd: string) => void
type Reader = Parameters<typeof service>[1]

/** The places from which something can be thrown at an event. */
const places: Readonly<Record<string, (fail: Fail) => Reader>> = {
  'an `on` handler': (fail) => ({
    handlers: {},
    subscribe: ({ on }) => [on(taken, ({ event }) => fail(event.data.odd))],
  }),
  'a transaction': (fail) => ({
    handlers: {},
    subscribe: ({ on }) => [on(taken, ({ event, tx }) => tx(() => fail(event.data.odd)))],
  }),
  'a transaction that nobody awaits': (fail) => ({
    handlers: {},
    subscribe: ({ on }) => [on(taken, ({ event, tx }) => void tx(() => fail(event.data.odd)))],
  }),
  'a projection': (fail) => ({
    handlers: {},
    projections: [
      projection('pages', {
        store: sqlStore({ migrations: {} }),
        subscribe: ({ project }) => [project(taken, ({ data }) => fail(data.odd))],
      }),
    ],
  }),
  'an upcaster': (fail) => ({ handlers: {}, subscribe: ({ on }) => [on(lifted(fail), () => {})] }),
}

/** A later version of the event, whose upcaster fails. */
const lifted = (fail: Fail): typeof taken =>
  event('note.taken', {
    version: 2,
    key: ({ id }) => id,
    data: Note,
    upcasters: { 1: upcast(Note, (data) => (fail(data.odd), data)) },
  })

function notesOf(emitted: typeof taken) {
  const notes = contract('notes', { events: [emitted], take: command({ input: Note, output: z.void() }) })
  return {
    notes,
    notesService: service(notes, {
      handlers: { take: async ({ input, tx }) => void (await tx(({ emit }) => emit(emitted, input))) },
    }),
  }
}

describe('the error of an event', () => {
  for (const place of Object.keys(places)) {
    it(`is recorded whatever it is, from ${place}: its tries count, it becomes a dead letter, others go on, and a redrive after the fix handles it`, () =>
      inWorld(async (world) => {
        const { notes, notesService } = notesOf(taken)
        const writing = await world.start(system('town', { services: [notesService] }), { partitions: 1 })
        const odd = Object.keys(oddErrors)
        for (const name of odd) await call(writing, notes.take, { id: name, odd: name })
        for (let index = 0; index < 10; index++) await call(writing, notes.take, { id: `good ${index}`, odd: '' })
        await writing.stop()

        let failing = true
        const reader = service(
          contract('books', {}),
          places[place]!((name) => {
            if (name !== '' && failing) throw oddErrors[name]!()
          }),
        )
        // the one event that there is, or its next version
        const emitted = (reader.subscribers[0]?.event ?? taken) as typeof taken
        const running = await world.start(system('town', { services: [notesOf(emitted).notesService, reader] }), {
          attemptsMax: 2,
          partitions: 1,
        })
        await world.host.advance(60_000)
        const letters = await running.admin.deadLetters()
        assert.deepEqual(letters.map(({ event }) => event.key).sort(), odd.toSorted())
        for (const { event, error } of letters) {
          for (const text of [error.message, error.stack])
            assert.ok(text.length > 0 && text.isWellFormed() && !text.includes('\0'), event.key)
        }
        const books = (await running.admin.ledger()).find(({ subscription }) => subscription.startsWith('books'))!
        assert.deepEqual([books.handled, books.dead, books.pending, books.balanced], [10, odd.length, 0, true])
        assert.equal(running.readiness().ready, true)

        for (const expected of ['failed', 'handled']) {
          failing = expected === 'failed'
          for (const dryRun of [true, false]) {
            const outcomes = await Array.fromAsync(running.admin.redrive({ dryRun }))
            assert.deepEqual(
              outcomes.map(({ outcome }) => outcome),
              odd.map(() => expected),
            )
          }
        }
        assert.deepEqual(await running.admin.deadLetters(), [])
      }))
  }

  it('is recorded although a logger cannot write it, and the line tells what can be told', () =>
    inWorld(async (world) => {
      const written: string[] = []
      const at: Logger['info'] = (fields, message) => {
        const { error } = fields
        if (error instanceof Error && isSoundError(error.cause) && (error.cause.cause as object).toString() === '')
          return
        written.push(`${message} ${String(error)}`)
      }
      const { notes, notesService } = notesOf(taken)
      const fail = (): never => {
        throw new Error('outer', { cause: oddErrors['a revoked proxy']!() })
      }
      const services = [notesService, service(contract('books', {}), places['an `on` handler']!(fail))]
      const running = await world.start(
        system('town', { services }),
        { attemptsMax: 1 },
        { logger: { info: at, warn: at, error: at } },
      )
      await call(running, notes.take, { id: 'a', odd: '' })
      await running.quiet()
      assert.deepEqual(
        (await running.admin.deadLetters()).map(({ error }) => error.message),
        ['outer'],
      )
      assert.equal(
        written.filter((line) => /is a dead letter of books.*INTERNAL: outer$/.test(line)).length,
        1,
        written.join('\n'),
      )
    }))
})
