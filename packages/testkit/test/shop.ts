import { sqlStore } from '@atoll/store'
import {
  command,
  contract,
  event,
  notFound,
  projection,
  query,
  service,
  system,
  type ReceivedEvent,
  type System,
} from 'atoll'
import { z } from 'zod'

// Three services in a row: the desk takes orders, the stock packs them, the mail sends letters about them. Nothing in
// their tables hides an effect that happens twice: it would be there as a second row.

const ById = z.object({ id: z.string() })
const Order = ById.extend({ sku: z.string() })
const byId = ({ id }: { id: string }): string => id

export const placed = event('order.placed', { version: 1, key: byId, data: Order })
export const reminded = event('order.reminded', { version: 1, key: byId, data: ById.extend({ at: z.int() }) })
export const packed = event('order.packed', { version: 1, key: byId, data: ById })

export const desk = contract('desk', {
  events: [placed, reminded],
  place: command({ http: 'POST /orders', status: 201, auth: 'optional', input: Order, output: ById }),
  remind: command({
    http: 'POST /reminders',
    auth: 'none',
    input: z.object({ id: z.string(), afterMs: z.int() }),
    output: z.void(),
  }),
  get: query({ http: 'GET /orders/:id', auth: 'none', input: ById, output: Order.extend({ buyer: z.string() }) }),
  own: query({ http: 'GET /orders', auth: 'user', input: z.object({}), output: z.array(z.string()) }),
  reminders: query({ input: z.object({}), output: z.array(ById.extend({ at: z.int() })) }),
  now: query({
    http: 'GET /now',
    auth: 'none',
    input: z.object({}),
    output: z.object({ at: z.int(), by: z.string() }),
  }),
})

export const stock = contract('stock', {
  events: [packed],
  boxes: query({ http: 'GET /boxes', auth: 'none', input: z.object({}), output: z.array(z.string()) }),
})

export const mail = contract('mail', {
  letters: query({ http: 'GET /letters', auth: 'none', input: z.object({}), output: z.array(z.string()) }),
  counts: query({ input: z.object({}), output: z.record(z.string(), z.int()) }),
})

/** What a test may make handlers do. */
export interface Hooks {
  /** In the handler of the stock, before its transaction. */
  packing?: (event: ReceivedEvent<z.infer<typeof Order>>) => unknown
  /** The same, after it. */
  packed?: () => unknown
  /** In the projection of the mail. */
  counting?: (event: ReceivedEvent<z.infer<typeof Order>>) => unknown
  /** In the query `now` of the desk. */
  asked?: () => unknown
}

interface DeskTables {
  orders: { seq?: number; id: string; sku: string; buyer: string }
  reminders: { seq?: number; id: string; at: number }
}

/** What its timers say, and nobody else hears. */
const timeUp = event('reminder.due', { version: 1, key: byId, data: ById })

const createDesk = ({ asked = () => {} }: Hooks) =>
  service(desk, {
    store: sqlStore<DeskTables>({
      migrations: {
        '0001-desk': `
        CREATE TABLE orders (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, sku TEXT NOT NULL, buyer TEXT NOT NULL);
        CREATE TABLE reminders (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, at INTEGER NOT NULL);
      `,
      },
    }),
    events: [timeUp],
    handlers: {
      place: ({ input, caller, tx }) =>
        tx(async ({ db, emit }) => {
          await db
            .insertInto('orders')
            .values({ ...input, buyer: caller?.id ?? 'nobody' })
            .execute()
          emit(placed, input)
          return { id: input.id }
        }),
      remind: async ({ input: { id, afterMs }, tx }) => {
        await tx(({ schedule }) => schedule(timeUp, { id }, { afterMs }))
      },
      async get({ input: { id }, db }) {
        const order = await db
          .selectFrom('orders')
          .select(['id', 'sku', 'buyer'])
          .where('id', '=', id)
          .executeTakeFirst()
        if (!order) throw notFound('order')
        return order
      },
      own: async ({ caller, db }) =>
        (await db.selectFrom('orders').select('id').where('buyer', '=', caller.id).orderBy('seq').execute()).map(
          ({ id }) => id,
        ),
      reminders: ({ db }) => db.selectFrom('reminders').select(['id', 'at']).orderBy('seq').execute(),
      async now({ now }) {
        await asked()
        return { at: now(), by: 'desk' }
      },
    },
    subscribe: ({ on }) => [
      on(
        timeUp,
        ({
          event: {
            data: { id },
          },
          now,
          tx,
        }) =>
          tx(async ({ db, emit }) => {
            const at = now()
            await db.insertInto('reminders').values({ id, at }).execute()
            emit(reminded, { id, at })
          }),
      ),
    ],
  })

const createStock = ({ packing = () => {}, packed: hasPacked = () => {} }: Hooks) =>
  service(stock, {
    store: sqlStore<{ boxes: { seq?: number; id: string } }>({
      migrations: { '0001-stock': 'CREATE TABLE boxes (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL)' },
    }),
    handlers: {
      boxes: async ({ db }) => (await db.selectFrom('boxes').select('id').orderBy('seq').execute()).map(({ id }) => id),
    },
    subscribe: ({ on }) => [
      on(placed, async ({ event, tx }) => {
        await packing(event)
        await tx(async ({ db, emit }) => {
          await db.insertInto('boxes').values({ id: event.data.id }).execute()
          emit(packed, { id: event.data.id })
        })
        await hasPacked()
      }),
    ],
  })

const createCounts = ({ counting = () => {} }: Hooks) =>
  projection('counts', {
    store: sqlStore<{ counts: { sku: string; count: number } }>({
      migrations: { '0001-counts': 'CREATE TABLE counts (sku TEXT PRIMARY KEY, count INTEGER NOT NULL)' },
    }),
    subscribe: ({ project }) => [
      project(placed, async (event, { db }) => {
        await counting(event)
        const { sku } = event.data
        await db
          .insertInto('counts')
          .values({ sku, count: 1 })
          .onConflict((row) => row.column('sku').doUpdateSet((set) => ({ count: set('counts.count', '+', 1) })))
          .execute()
      }),
    ],
  })

const createMail = (hooks: Hooks) =>
  service(mail, {
    store: sqlStore<{ letters: { seq?: number; text: string } }>({
      migrations: { '0001-mail': 'CREATE TABLE letters (seq INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL)' },
    }),
    projections: [createCounts(hooks)],
    handlers: {
      letters: async ({ db }) =>
        (await db.selectFrom('letters').select('text').orderBy('seq').execute()).map(({ text }) => text),
      counts: async ({ db }) =>
        Object.fromEntries(
          (await db.selectFrom('counts').selectAll().orderBy('sku').execute()).map(({ sku, count }) => [sku, count]),
        ),
    },
    subscribe: ({ on }) => [
      on(packed, async ({ event, call, tx }) => {
        const { buyer, sku } = await call(desk.get, { id: event.data.id })
        await tx(({ db }) =>
          db
            .insertInto('letters')
            .values({ text: `${buyer}: ${sku}` })
            .execute(),
        )
      }),
    ],
  })

export function createShop(hooks: Hooks = {}): System {
  return system('shop', { services: [createDesk(hooks), createStock(hooks), createMail(hooks)] })
}
