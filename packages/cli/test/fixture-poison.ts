import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { sql } from 'kysely'
import { command, contract, event, query, service, system } from 'atoll'
import { z } from 'zod'

// A service whose handlers do to their process what no handler should, and another one that shares it.

const Note = z.object({
  id: z.string(),
  how: z.enum(['stray', 'stray after', 'loop', 'statement', 'exit', 'memory', 'uncaught', 'nothing']),
})
const taken = event('note.taken', { version: 1, key: ({ id }) => id, data: Note })
const notes = contract('notes', {
  events: [taken],
  take: command({ http: 'POST /notes', auth: 'none', input: Note, output: z.void() }),
  ask: query({ http: 'GET /stray', auth: 'none', input: z.object({}), output: z.object({ answered: z.boolean() }) }),
})
const other = contract('other', {
  ask: query({ http: 'GET /other', auth: 'none', input: z.object({}), output: z.object({ alive: z.boolean() }) }),
})

async function stray(text: string): Promise<never> {
  await turn()
  throw new Error(text)
}

function spinForEver(): void {
  for (;;);
}

function hoard(): void {
  for (const kept: number[][] = []; ;) kept.push(Array.from({ length: 100_000 }, (_, index) => index))
}

const { STRAY_OF_NOBODY: ofNobody } = process.env
if (ofNobody !== undefined) setTimeout(() => void stray(ofNobody), 1_000)

export default system(process.env['FIXTURE_NAME'] ?? 'poison', {
  services: [
    service(notes, {
      handlers: {
        take: async ({ input, tx }) => void (await tx(({ emit }) => emit(taken, input))),
        ask: async () => {
          void stray('a stray of a query')
          await once(process, 'unhandledRejection')
          return { answered: true }
        },
      },
      subscribe: ({ on }) => [
        on(taken, async ({ event: { data }, tx }) => {
          if (data.how === 'loop') spinForEver()
          if (data.how === 'exit') process.exit(3)
          if (data.how === 'memory') hoard()
          if (data.how === 'uncaught')
            setTimeout(() => {
              throw new Error(`cannot take ${data.id}`)
            })
          if (data.how === 'stray') {
            void stray('a stray before the commit')
            await once(process, 'unhandledRejection')
          }
          await tx(
            async ({ db }) =>
              void (
                data.how === 'statement' &&
                (await sql`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n`.execute(
                  db,
                ))
              ),
          )
          if (data.how === 'stray after') void stray('a stray after the commit')
        }),
      ],
    }),
    service(other, { handlers: { ask: () => ({ alive: true }) } }),
  ],
})
