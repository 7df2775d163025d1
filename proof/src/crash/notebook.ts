// The smallest system that promises something: a command that keeps a note and emits an event, and a service that
// copies it. Run as a program it serves a data folder, with short leases if told so: `node notebook.ts <folder> [<lease
// in ms>]`. Its first line is its URL.
import { start } from '@atoll/cli'
import { sqlStore } from '@atoll/store'
import { command, contract, event, query, service, system } from 'atoll'
import { z } from 'zod'

const Note = z.object({ text: z.string() })
const Texts = z.object({ texts: z.array(z.string()) })
const noteKept = event('note.kept', { version: 1, key: ({ text }) => text.slice(0, 40), data: Note })
const notes = contract('notes', {
  events: [noteKept],
  keep: command({ http: 'POST /notes', auth: 'none', input: Note, output: Note }),
  list: query({ http: 'GET /notes', auth: 'none', input: z.object({}), output: Texts }),
})
const copies = contract('copies', {
  list: query({ http: 'GET /copies', auth: 'none', input: z.object({}), output: Texts }),
})
const store = sqlStore<{ notes: { seq?: number; text: string } }>({
  migrations: { '0001-notes': 'CREATE TABLE notes (seq INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT' },
})

export const notebook = system('notebook', {
  services: [
    service(notes, {
      store,
      handlers: {
        keep: ({ input, tx }) =>
          tx(async ({ db, emit }) => {
            await db.insertInto('notes').values(input).execute()
            emit(noteKept, input)
            return input
          }),
        list: async ({ db }) => ({
          texts: (await db.selectFrom('notes').select('text').orderBy('seq').execute()).map(({ text }) => text),
        }),
      },
    }),
    service(copies, {
      store,
      subscribe: ({ on }) => [
        on(noteKept, ({ event, tx }) =>
          tx(({ db }) => db.insertInto('notes').values({ text: event.data.text }).execute()),
        ),
      ],
      handlers: {
        list: async ({ db }) => ({
          texts: (await db.selectFrom('notes').select('text').orderBy('seq').execute()).map(({ text }) => text),
        }),
      },
    }),
  ],
})

if (import.meta.main) {
  const [, , data, leaseMs] = process.argv
  const started = await start(notebook, {
    data: data!,
    port: 0,
    ...(leaseMs === undefined ? {} : { runtime: { leaseMs: Number(leaseMs) } }),
  })
  console.log(started.url)
  process.once('SIGTERM', () => void started.stop())
}
