import { sqlStore } from '@atoll/store'
import { command, contract, event, projection, service, system } from 'atoll'
import { z } from 'zod'

// Notes are taken, copied, and the copies filed. Whoever handles an event keeps its id, so that it shows which events
// had their effect, and how often.

const Note = z.object({ id: z.string() })
const byId = ({ id }: { id: string }): string => id

export const taken = event('note.taken', { version: 1, key: byId, data: Note })
export const copied = event('note.copied', { version: 1, key: byId, data: Note })

export const notes = contract('notes', { events: [taken], take: command({ input: Note, output: z.void() }) })
const copies = contract('copies', { events: [copied] })
const files = contract('files', {})

/** One row for each event that was handled. */
export interface HandledTables {
  handled: { seq?: number; event: string }
}
/** The same of the projection; queries see the tables of both. */
export interface IndexTables {
  indexed: { seq?: number; event: string }
}

const store = sqlStore<HandledTables>({
  migrations: { '0001-handled': 'CREATE TABLE handled (seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL)' },
})

const index = projection('index', {
  store: sqlStore<IndexTables>({
    migrations: { '0001-indexed': 'CREATE TABLE indexed (seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL)' },
  }),
  subscribe: ({ project }) => [
    project(taken, (event, { db }) => db.insertInto('indexed').values({ event: event.id }).execute()),
  ],
})

export const restoresSystem = system('restores', {
  services: [
    service(notes, {
      handlers: {
        take: async ({ input, tx }) => {
          await tx(({ emit }) => emit(taken, input))
        },
      },
    }),
    service(copies, {
      store,
      handlers: {},
      subscribe: ({ on }) => [
        on(taken, ({ event, tx }) =>
          tx(async ({ db, emit }) => {
            await db.insertInto('handled').values({ event: event.id }).execute()
            emit(copied, event.data)
          }),
        ),
      ],
    }),
    service(files, {
      store,
      projections: [index],
      handlers: {},
      subscribe: ({ on }) => [
        on(copied, ({ event, tx }) => tx(({ db }) => db.insertInto('handled').values({ event: event.id }).execute())),
      ],
    }),
  ],
})

/** Where it stands which events were handled. */
export const handlers = [
  { subscription: 'copies', store: 'copies', table: 'handled', event: taken },
  { subscription: 'files', store: 'files', table: 'handled', event: copied },
  { subscription: 'files.index', store: 'files.index.1', table: 'indexed', event: taken },
] as const
