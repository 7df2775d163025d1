import { existsSync } from 'node:fs'
import { sqlStore } from '@atoll/store'
import { command, contract, event, projection, query, service, system } from 'atoll'
import { z } from 'zod'

// A system whose warehouse refuses what is called broken while the file named by BROKEN exists.

const Order = z.object({ sku: z.string(), count: z.int() })
const placed = event('order.placed', { version: 1, key: ({ sku }) => sku, data: Order })
const shop = contract('shop', {
  events: [placed],
  place: command({ http: 'POST /orders', auth: 'none', input: Order, output: Order }),
})
const warehouse = contract('warehouse', {
  stock: query({ http: 'GET /stock', auth: 'none', input: z.object({}), output: z.array(z.string()) }),
})

const shelves = projection('shelves', {
  store: sqlStore<{ shelves: { sku: string } }>({
    migrations: { '0001-shelves': 'CREATE TABLE shelves (sku TEXT PRIMARY KEY)' },
  }),
  subscribe: ({ project }) => [
    project(placed, ({ data }, { db }) =>
      db
        .insertInto('shelves')
        .values({ sku: data.sku })
        .onConflict((known) => known.doNothing())
        .execute(),
    ),
  ],
})

// Tests on an engine that others use too give it a name of its own.
export default system(process.env['FIXTURE_NAME'] ?? 'fixture', {
  services: [
    service(shop, {
      handlers: {
        place: ({ input, tx }) =>
          tx(({ emit }) => {
            emit(placed, input)
            return input
          }),
      },
    }),
    service(warehouse, {
      store: sqlStore<{ shipped: { seq?: number; text: string } }>({
        migrations: { '0001-shipped': 'CREATE TABLE shipped (seq INTEGER PRIMARY KEY, text TEXT NOT NULL)' },
      }),
      projections: [shelves],
      subscribe: ({ on }) => [
        on(placed, ({ event, tx }) => {
          const { sku, count } = event.data
          if (sku.startsWith('broken') && existsSync(process.env['BROKEN'] ?? ''))
            throw new Error(`this sku cannot be shipped${sku.slice('broken'.length)}`)
          return tx(({ db }) =>
            db
              .insertInto('shipped')
              .values({ text: `${sku} ${count}` })
              .execute(),
          )
        }),
      ],
      handlers: {
        stock: async ({ db }) =>
          (await db.selectFrom('shipped').select('text').orderBy('seq').execute()).map((row) => row.text),
      },
    }),
  ],
  seed: async ({ call }) => {
    await call(shop.place, { sku: 'seeded', count: 1 })
  },
})
