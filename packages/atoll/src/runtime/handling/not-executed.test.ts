import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sqlStore } from '@atoll/store'
import { sql, type Kysely } from 'kysely'
import { z } from 'zod'
import { command, contract, event, projection, query, service, system } from '../../index.ts'
import { call, inWorld } from '../../../test/world.ts'

interface Tables {
  rows: { id: string }
}

const Id = z.object({ id: z.string() })
const taken = event('note.taken', { version: 1, key: ({ id }) => id, data: Id })
const store = sqlStore<Tables>({ migrations: { '0001-rows': 'CREATE TABLE rows (id TEXT)' } })
const notes = contract('notes', {
  events: [taken],
  take: command({ input: Id, output: z.void() }),
  isTaken: query({ input: Id, output: z.boolean() }),
  rows: query({ input: z.object({}), output: z.number() }),
})
const insert = (db: Kysely<Tables>, id: string) => db.insertInto('rows').values({ id })
const rawInsert = (id: string): unknown => sql`INSERT INTO rows VALUES (${id})`
const find = (db: Kysely<Tables>, id: string) => db.selectFrom('rows').select('id').where('id', '=', id)

type Take = Parameters<typeof service<typeof notes, Tables>>[1]['handlers']['take']
type IsTaken = Parameters<typeof service<typeof notes, Tables>>[1]['handlers']['isTaken']

function createNotes(take: Take, isTaken: IsTaken = () => true) {
  const handlers = {
    take,
    isTaken,
    rows: async ({ db }: { db: Kysely<Tables> }) => (await db.selectFrom('rows').selectAll().execute()).length,
  }
  return service(notes, { store, handlers })
}

describe('a handler that forgets .execute()', () => {
  const careless: readonly (readonly [string, Take])[] = [
    [
      'drops a write',
      ({ input, tx }) =>
        tx(async ({ db, emit }) => {
          emit(taken, input)
          await insert(db, 'kept').execute()
          insert(db, input.id)
        }),
    ],
    [
      'awaits a write',
      ({ input, tx }) =>
        tx(async ({ db, emit }) => {
          emit(taken, input)
          await insert(db, 'kept').execute()
          await insert(db, input.id)
        }),
    ],
    [
      'returns a write',
      ({ input, tx }) =>
        tx(async ({ db, emit }) => {
          emit(taken, input)
          await insert(db, 'kept').execute()
          return insert(db, input.id) as never
        }),
    ],
    [
      'awaits raw SQL',
      ({ input, tx }) =>
        tx(async ({ db, emit }) => {
          emit(taken, input)
          await insert(db, 'kept').execute()
          await rawInsert(input.id)
        }),
    ],
    [
      'awaits a table',
      ({ input, tx }) =>
        tx(async ({ db, emit }) => {
          emit(taken, input)
          await insert(db, 'kept').execute()
          await db.schema.createTable('rows').addColumn('id', 'text')
        }),
    ],
    [
      'takes a read that it awaited for an answer',
      ({ input, tx }) =>
        tx(async ({ db, emit }) => {
          if (await find(db, input.id)) emit(taken, input)
        }),
    ],
    [
      'does so before its transaction',
      async ({ input, db, tx }) => {
        if (await find(db, input.id)) await tx(({ emit }) => emit(taken, input))
      },
    ],
    ['does so without a transaction', async ({ input, db }) => void (await find(db, input.id))],
  ]
  for (const [what, take] of careless) {
    it(`is refused as a command, and nothing of it lasts: it ${what}`, () =>
      inWorld(async (world) => {
        const running = await world.start(system('town', { services: [createNotes(take)] }))
        await assert.rejects(call(running, notes.take, { id: 'a' }), {
          code: 'NOT_EXECUTED',
          message: /(db\.(insertInto|selectFrom|schema\.createTable)\('rows'\)|sql`INSERT…`).*\.execute\(/,
        })
        assert.equal(await call(running, notes.rows, {}), 0)
      }))
  }

  it('is told where that is, from the second time on in a process', () =>
    inWorld(async (world) => {
      const running = await world.start(
        system('town', {
          services: [createNotes(careless[1]![1], async ({ input, db }) => !!(await find(db, input.id)))],
        }),
      )
      const reasons = async (name: 'take' | 'isTaken'): Promise<string> =>
        running.dispatch(`notes.${name}`, { input: { id: 'a' } }).then(
          () => 'nothing',
          (error: Error) => error.message,
        )
      await reasons('take')
      assert.match(await reasons('take'), /db\.insertInto\('rows'\) at \/.*\/not-executed\.test\.ts:\d+:\d+ was built/)
      assert.match(
        await reasons('isTaken'),
        /db\.selectFrom\('rows'\) at \/.*\/not-executed\.test\.ts:\d+:\d+ was built/,
      )
    }))

  const guards: readonly (readonly [string, IsTaken])[] = [
    ['built', async ({ input, db }) => !!(await find(db, input.id))],
    ['in raw SQL', async ({ input }) => !!(await (sql`SELECT 1 FROM rows WHERE id = ${input.id}` as unknown))],
  ]
  for (const [what, isTaken] of guards) {
    it(`is refused as a query, ${what}: it would have let everybody in`, () =>
      inWorld(async (world) => {
        const running = await world.start(system('town', { services: [createNotes(() => {}, isTaken)] }))
        await assert.rejects(call(running, notes.isTaken, { id: 'a' }), { code: 'NOT_EXECUTED' })
      }))
  }

  it('does not handle its event: that becomes a dead letter, in on and in project, and others are none', () =>
    inWorld(async (world) => {
      const readers = [
        service(contract('returning', {}), {
          store,
          handlers: {},
          subscribe: ({ on }) => [on(taken, ({ event, tx }) => tx(({ db }) => insert(db, event.data.id)))],
        }),
        service(contract('dropping', {}), {
          store,
          handlers: {},
          subscribe: ({ on }) => [
            on(taken, ({ event, tx }) =>
              tx(async ({ db }) => {
                insert(db, event.data.id)
              }),
            ),
          ],
        }),
        service(contract('outside', {}), {
          store,
          handlers: {},
          subscribe: ({ on }) => [
            on(taken, async ({ event, db }) => {
              await insert(db, event.data.id)
            }),
          ],
        }),
        service(contract('raw', {}), {
          store,
          handlers: {},
          subscribe: ({ on }) => [
            on(taken, ({ event, tx }) =>
              tx(async () => {
                for (const id of [event.data.id]) await rawInsert(id)
              }),
            ),
          ],
        }),
        service(contract('projecting-raw', {}), {
          store,
          handlers: {},
          subscribe: ({ project }) => [
            project(taken, async ({ data }) => {
              await Promise.all([rawInsert(data.id)])
            }),
          ],
        }),
        service(contract('projecting-tables', {}), {
          store,
          handlers: {},
          subscribe: ({ project }) => [
            project(taken, async (_, { db }) => {
              await db.schema.createTable('extra').addColumn('a', 'text')
            }),
          ],
        }),
        service(contract('generating', {}), {
          store,
          handlers: {},
          subscribe: ({ on }) => [
            on(taken, function* ({ event, db }) {
              yield insert(db, event.data.id).execute()
            }),
          ],
        }),
        service(contract('giving', {}), {
          store,
          handlers: {},
          subscribe: ({ project }) => [
            project(
              taken,
              ({ data }, { db }) =>
                () =>
                  insert(db, data.id).execute(),
            ),
          ],
        }),
        service(contract('projecting', {}), {
          store,
          handlers: {},
          subscribe: ({ project }) => [project(taken, ({ data }, { db }) => insert(db, data.id))],
        }),
        service(contract('batching', {}), {
          store: sqlStore({ migrations: {} }),
          handlers: {},
          projections: [
            projection('pages', {
              store,
              subscribe: ({ project }) => [
                project(taken, async ({ data }, { db }) => {
                  await (data.id === 'b' ? insert(db, data.id) : insert(db, data.id).execute())
                }),
              ],
            }),
          ],
        }),
      ]
      const take: Take = ({ input, tx }) => tx(({ emit }) => emit(taken, input))
      const running = await world.start(system('town', { services: [createNotes(take), ...readers] }), {
        attemptsMax: 1,
      })
      await Promise.all(['a', 'b', 'c'].map((id) => call(running, notes.take, { id })))
      await running.quiet()
      const letters = new Map<string, number>()
      for (const { subscription, error } of await running.admin.deadLetters()) {
        assert.equal(error.code, 'NOT_EXECUTED')
        letters.set(subscription, (letters.get(subscription) ?? 0) + 1)
      }
      assert.deepEqual(Object.fromEntries(letters), {
        returning: 3,
        dropping: 3,
        outside: 3,
        raw: 3,
        'projecting-raw': 3,
        'projecting-tables': 3,
        generating: 3,
        giving: 3,
        projecting: 3,
        'batching.pages': 1,
      })
    }))

  it('is told so in the log when its transaction has committed, and its command has answered', () =>
    inWorld(async (world) => {
      const running = await world.start(
        system('town', {
          services: [
            createNotes(async ({ input, db, tx }) => {
              await tx(async ({ db }) => void (await insert(db, input.id).execute()))
              await find(db, input.id)
            }),
          ],
        }),
      )
      await call(running, notes.take, { id: 'a' })
      assert.equal(await call(running, notes.rows, {}), 1)
      assert.ok(
        world.logged.some(
          ({ level, message }) =>
            level === 'error' && message.includes('notes.take built a query and did not execute it'),
        ),
      )
    }))
})
