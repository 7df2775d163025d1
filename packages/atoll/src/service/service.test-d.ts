// Not run: the compiler is the test.

import { sqlStore } from '@atoll/store'
import { z } from 'zod'
import { command, contract, event, projection, query, service } from '../index.ts'

const placed = event('order.placed', {
  version: 1,
  key: ({ id }) => id,
  data: z.object({ id: z.string(), cents: z.int() }),
})
const shipped = event('order.shipped', { version: 1, key: ({ id }) => id, data: z.object({ id: z.string() }) })
const due = event('order.due', { version: 1, key: ({ id }) => id, data: z.object({ id: z.string() }) })

const orders = contract('orders', {
  events: [placed],
  place: command({ auth: 'user', input: z.object({ id: z.string() }), output: z.object({ id: z.string() }) }),
  count: query({ input: z.object({}), output: z.object({ count: z.int() }) }),
})

const store = sqlStore<{ orders: { id: string; cents: number } }>({ migrations: {} })
const totals = projection('totals', {
  store: sqlStore<{ totals: { cents: number } }>({ migrations: {} }),
  subscribe: () => [],
})
const count = (): { count: number } => ({ count: 1 })

// As it should be: events of the contract and of the service itself, tables of the store in tx, those of projections
// beside it.
service(orders, {
  store,
  events: [due],
  projections: [totals],
  subscribe: ({ on }) => [
    on(shipped, ({ event, tx }) => tx(({ db }) => db.deleteFrom('orders').where('id', '=', event.data.id).execute())),
  ],
  handlers: {
    place: ({ input, caller, tx }) =>
      tx(async ({ db, emit, schedule }) => {
        await db.insertInto('orders').values({ id: input.id, cents: caller.id.length }).execute()
        emit(placed, { id: input.id, cents: 1 })
        schedule(due, { id: input.id }, { afterMs: 1_000 })
        return { id: input.id }
      }),
    count: async ({ db }) => ({ count: (await db.selectFrom('totals').select('cents').execute()).length }),
  },
})

const place = async (): Promise<{ id: string }> => ({ id: 'a' })

// @ts-expect-error a handler is missing
service(orders, { store, handlers: { place } })

service(orders, {
  store,
  handlers: {
    count,
    place: ({ tx }) =>
      tx(({ emit }) => {
        // @ts-expect-error a payload lacks a field
        emit(placed, { id: 'a' })
        return { id: 'a' }
      }),
  },
})

service(orders, {
  store,
  handlers: {
    count,
    place: ({ tx }) =>
      tx(({ emit }) => {
        // @ts-expect-error an event is not the service's to emit
        emit(shipped, { id: 'a' })
        return { id: 'a' }
      }),
  },
})

service(orders, {
  store,
  handlers: {
    place,
    // @ts-expect-error there is no such table
    count: async ({ db }) => ({ count: (await db.selectFrom('ordres').selectAll().execute()).length }),
  },
})

service(orders, {
  store,
  projections: [totals],
  handlers: {
    count,
    place: ({ tx }) =>
      tx(async ({ db }) => {
        // @ts-expect-error a projection is written by its events alone
        await db.insertInto('totals').values({ cents: 1 }).execute()
        return { id: 'a' }
      }),
  },
})

// @ts-expect-error an answer is not what the contract says
service(orders, { store, handlers: { place, count: () => ({ count: 'one' }) } })

// @ts-expect-error a query has no transaction
service(orders, { store, handlers: { place, count: ({ tx }) => tx(() => ({ count: 1 })) } })

service(orders, {
  store,
  // @ts-expect-error what a handler reads of an event is not in it
  subscribe: ({ on }) => [on(shipped, ({ event }) => void event.data.cents)],
  handlers: { place, count },
})
