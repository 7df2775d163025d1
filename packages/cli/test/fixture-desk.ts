import { sqlStore } from '@atoll/store'
import { command, contract, event, query, service, system } from 'atoll'
import { z } from 'zod'

// One service that notes down what it is told, once for each time that it is told.

const Note = z.object({ text: z.string() })
const noted = event('note.taken', { version: 1, key: ({ text }) => text, data: Note })
const desk = contract('desk', {
  events: [noted],
  note: command({ http: 'POST /notes', auth: 'none', input: Note, output: Note }),
  count: query({ http: 'GET /notes/:text', auth: 'none', input: Note, output: z.object({ count: z.int() }) }),
  all: query({ http: 'GET /notes', auth: 'none', input: z.object({}), output: z.array(z.string()) }),
})

export default system('desks', {
  services: [
    service(desk, {
      store: sqlStore<{ notes: { seq?: number; text: string } }>({
        migrations: { '0001-notes': 'CREATE TABLE notes (seq INTEGER PRIMARY KEY, text TEXT NOT NULL)' },
      }),
      handlers: {
        note: ({ input, tx }) =>
          tx(async ({ db, emit }) => {
            await db.insertInto('notes').values({ text: input.text }).execute()
            emit(noted, input)
            return input
          }),
        count: async ({ input, db }) => ({
          count: (await db.selectFrom('notes').select('seq').where('text', '=', input.text).execute()).length,
        }),
        all: async ({ db }) =>
          (await db.selectFrom('notes').select('text').orderBy('seq').execute()).map(({ text }) => text),
      },
    }),
  ],
})
