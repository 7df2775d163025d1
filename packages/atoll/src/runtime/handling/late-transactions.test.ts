import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sqlStore } from '@atoll/store'
import { z } from 'zod'
import { command, contract, event, forbidden, projection, query, service, system } from '../../index.ts'
import { call, inWorld } from '../../../test/world.ts'

const Note = z.object({ id: z.string() })
const taken = event('note.taken', { version: 1, key: ({ id }) => id, data: Note })
const notes = contract('notes', {
  events: [taken],
  take: command({ input: Note, output: z.void() }),
  refuse: command({ input: Note, output: z.void() }),
  kept: query({ input: z.object({}), output: z.array(z.string()) }),
})

/** Longer than the other half of `Promise.all` takes to fail, and shorter than anything waits. */
async function later(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await Promise.resolve()
}

/** Of a note, `on` fails once, beside a half that goes on. */
function createNotes() {
  let tries = 0
  return system('town', {
    services: [
      service(notes, {
        store: sqlStore<{ kept: { id: string } }>({ migrations: { '0001-kept': 'CREATE TABLE kept (id TEXT)' } }),
        handlers: {
          take: async ({ input, tx }) => void (await tx(({ emit }) => emit(taken, input))),
          refuse: async ({ input, tx }) => {
            await Promise.all([
              Promise.reject(forbidden('no')),
              later().then(() => tx(({ db }) => db.insertInto('kept').values(input).execute())),
            ])
          },
          kept: async ({ db }) => (await db.selectFrom('kept').select('id').execute()).map(({ id }) => id),
        },
        subscribe: ({ on }) => [
          on(taken, async ({ event: { data }, tx }) => {
            const checked = ++tries === 1 ? Promise.reject(new Error('not now')) : undefined
            await Promise.all([
              checked,
              later().then(() => tx(({ db }) => db.insertInto('kept').values(data).execute())),
            ])
          }),
        ],
      }),
    ],
  })
}

describe('a transaction that a handler opens after it has ended', () => {
  it('does not commit for a command that was refused', () =>
    inWorld(async (world) => {
      const running = await world.start(createNotes())
      await assert.rejects(call(running, notes.refuse, { id: 'a' }), { code: 'FORBIDDEN' })
      await world.host.advance(1_000)
      assert.deepEqual(await call(running, notes.kept, {}), [])
    }))

  it('does not commit for an event that is tried again', () =>
    inWorld(async (world) => {
      const running = await world.start(createNotes())
      await call(running, notes.take, { id: 'a' })
      await world.host.advance(60_000)
      assert.deepEqual(await call(running, notes.kept, {}), ['a'])
      const [row] = await running.admin.ledger()
      assert.deepEqual([row!.handled, row!.balanced], [1, true])
    }))
})

describe('what a projection writes for an event after its handler has failed', () => {
  it('is not done in the midst of the next event', () =>
    inWorld(async (world) => {
      const many = contract('many', { events: [taken], take: command({ input: z.object({}), output: z.void() }) })
      const shown = contract('shown', { all: query({ input: z.object({}), output: z.array(z.string()) }) })
      let tries = 0
      const pages = projection('pages', {
        store: sqlStore<{ pages: { id: string } }>({ migrations: { '0001-pages': 'CREATE TABLE pages (id TEXT)' } }),
        subscribe: ({ project }) => [
          project(taken, async ({ data }, { db }) => {
            const checked = data.id === '3' && ++tries < 3 ? Promise.reject(new Error('not now')) : undefined
            await Promise.all([checked, later().then(() => db.insertInto('pages').values(data).execute())])
          }),
        ],
      })
      const running = await world.start(
        system('town', {
          services: [
            service(many, {
              handlers: {
                take: async ({ tx }) =>
                  void (await tx(({ emit }) => {
                    for (let id = 0; id < 20; id++) emit(taken, { id: String(id) })
                  })),
              },
            }),
            service(shown, {
              store: sqlStore<{ pages: { id: string } }>({ migrations: {} }),
              projections: [pages],
              handlers: {
                all: async ({ db }) => (await db.selectFrom('pages').select('id').execute()).map(({ id }) => id),
              },
            }),
          ],
        }),
        { partitions: 1 },
      )
      await call(running, many.take, {})
      await world.host.advance(60_000)
      assert.deepEqual(
        (await call(running, shown.all, {})).sort(),
        Array.from({ length: 20 }, (_, id) => String(id)).sort(),
      )
    }))
})
