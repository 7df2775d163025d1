import { sqlStore } from '@atoll/store'
import { command, contract, event, query, service, system } from 'atoll'
import { z } from 'zod'

const Name = z.object({ name: z.string().min(1) })

export const greeted = event('person.greeted', { version: 1, key: ({ name }) => name, data: Name })

export const greeter = contract('greeter', {
  events: [greeted],
  greet: command({ http: 'POST /greetings', auth: 'none', input: Name, output: z.object({ text: z.string() }) }),
})

export const counter = contract('counter', {
  count: query({ http: 'GET /greetings/:name', auth: 'none', input: Name, output: z.object({ count: z.int() }) }),
})

const greeterService = service(greeter, {
  handlers: {
    greet: ({ input, tx }) =>
      tx(({ emit }) => {
        emit(greeted, { name: input.name })
        return { text: `Hello, ${input.name}!` }
      }),
  },
})

const counterService = service(counter, {
  store: sqlStore<{ greetings: { name: string; count: number } }>({
    migrations: { '0001-greetings': 'CREATE TABLE greetings (name TEXT PRIMARY KEY, count INTEGER NOT NULL)' },
  }),
  subscribe: ({ project }) => [
    project(greeted, ({ data }, { db }) =>
      db
        .insertInto('greetings')
        .values({ name: data.name, count: 1 })
        .onConflict((row) => row.column('name').doUpdateSet((set) => ({ count: set('greetings.count', '+', 1) })))
        .execute(),
    ),
  ],
  handlers: {
    async count({ input, db }) {
      const row = await db.selectFrom('greetings').select('count').where('name', '=', input.name).executeTakeFirst()
      return { count: row?.count ?? 0 }
    },
  },
})

export default system('hello', { services: [greeterService, counterService] })
