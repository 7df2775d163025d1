import { command, contract, event, service, system } from 'atoll'
import { sqlStore } from '@atoll/store'
import { z } from 'zod'

// A desk at which people say odd things: what JSON cannot carry, or what a schema makes something else of. Each word is
// heard as it was said, or was not said.

export interface DeskTables {
  /** `text`: what was said, as {@link spell} spells it. */
  words: { id: string; text: string }
  notes: { lines: string }
}

/** What a word is, and what is answered to it. Of the first three nothing stands in the way. */
export const oddities = [
  'plain',
  'fails after its commit',
  'answers something else',
  'says a date',
  'says undefined',
  'says it twice',
  'answers a bigint',
  'answers a date',
  'has no version',
] as const
export type Oddity = (typeof oddities)[number]

const Said = z.object({
  id: z.string(),
  word: z.unknown(),
  loud: z
    .string()
    .overwrite((text) => `${text}!`)
    .optional(),
})
export const wordSaid = event('word.said', { version: 1, key: ({ id }) => id, data: Said })

export const desk = contract('desk', {
  events: [wordSaid],
  say: command({
    http: 'POST /words',
    auth: 'optional',
    input: z.object({ id: z.string(), oddity: z.enum(oddities) }),
    output: z.object({ id: z.string(), answer: z.unknown() }),
    etag: ({ id, answer }) => {
      if (answer === 'has no version') throw new Error('there is no version')
      return id
    },
  }),
  note: command({
    http: 'POST /notes',
    auth: 'optional',
    input: z.object({
      lines: z.array(z.string()).transform((lines) => new Set(lines)),
      at: z.int().default(() => calls.count++),
    }),
    output: z.object({ lines: z.array(z.string()) }),
  }),
})

/** Counted by a default that differs by call; the simulation begins anew with each world. */
export const calls = { count: 0 }

const ears = contract('ears', {})

export default system('desk', {
  services: [
    service(desk, {
      store: sqlStore<DeskTables>({
        migrations: {
          '0001-words':
            'CREATE TABLE words (id TEXT PRIMARY KEY, text TEXT NOT NULL); CREATE TABLE notes (lines TEXT NOT NULL)',
        },
      }),
      handlers: {
        async say({ input: { id, oddity }, tx }) {
          const word = wordOf(oddity)
          const answer = await tx(async ({ db, emit }) => {
            await db
              .insertInto('words')
              .values({ id, text: spell(word) })
              .execute()
            emit(wordSaid, { id, word, ...(oddity === 'says it twice' ? { loud: 'oh' } : {}) })
            return { id, answer: answerTo(oddity) }
          })
          if (oddity === 'fails after its commit') throw new Error('it was said')
          return oddity === 'answers something else' ? { id: 'another', answer: null } : answer
        },
        note: ({ input, tx }) =>
          tx(async ({ db }) => {
            const lines = [...input.lines]
            await db.insertInto('notes').values({ lines: lines.join() }).execute()
            return { lines }
          }),
      },
    }),
    service(ears, {
      store: sqlStore<Pick<DeskTables, 'words'>>({
        migrations: { '0001-words': 'CREATE TABLE words (id TEXT PRIMARY KEY, text TEXT NOT NULL)' },
      }),
      handlers: {},
      subscribe: ({ on }) => [
        on(wordSaid, ({ event, tx }) =>
          tx(({ db }) =>
            db
              .insertInto('words')
              .values({ id: event.data.id, text: spell(event.data.word) })
              .execute(),
          ),
        ),
      ],
    }),
  ],
})

function wordOf(oddity: Oddity): unknown {
  if (oddity === 'says a date') return { at: new Date(0) }
  return oddity === 'says undefined' ? ['a', undefined] : { text: 'a', list: [1, null, -0], more: { is: true } }
}

function answerTo(oddity: Oddity): unknown {
  if (oddity === 'answers a bigint') return [5n]
  return oddity === 'answers a date' ? { at: new Date(0) } : oddity
}

/** A value as people see it who look closely: a date is no text, and -0 is not 0. */
function spell(value: unknown): string {
  if (Array.isArray(value)) return `[${Array.from(value, spell).join()}]`
  if (typeof value !== 'object' || value === null)
    return Object.is(value, -0) ? '-0' : `${typeof value} ${String(value)}`
  return `${value.constructor.name}{${Object.entries(value)
    .map(([name, field]) => `${name}:${spell(field)}`)
    .join()}}`
}
