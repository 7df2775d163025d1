import { prepared, sqlStore } from '@atoll/store'
import { command, contract, event, projection, query, service, system, type System } from 'atoll'
import { z } from 'zod'

// The workload of the durable path: orders are placed in one service and shipped by another.

const Order = z.object({ orderId: z.string(), buyerId: z.string(), sku: z.string(), cents: z.int().positive() })

const orderPlaced = event('order.placed', { version: 1, key: ({ orderId }) => orderId, data: Order })

const orders = contract('orders', {
  events: [orderPlaced],
  place: command({ http: 'POST /orders', auth: 'none', input: Order, output: z.object({ orderId: z.string() }) }),
  get: query({ http: 'GET /orders/:orderId', auth: 'none', input: z.object({ orderId: z.string() }), output: Order }),
})

interface OrderTables {
  orders: { order_id: string; buyer_id: string; sku: string; cents: number }
}
interface ShippingTables {
  shipments: { order_id: string; sku: string }
}

const ordersStore = sqlStore<OrderTables>({
  migrations: {
    '0001-orders':
      'CREATE TABLE orders (order_id TEXT PRIMARY KEY, buyer_id TEXT NOT NULL, sku TEXT NOT NULL, cents INTEGER NOT NULL) STRICT, WITHOUT ROWID',
  },
})
const shippingStore = sqlStore<ShippingTables>({
  migrations: {
    '0001-shipments': 'CREATE TABLE shipments (order_id TEXT PRIMARY KEY, sku TEXT NOT NULL) STRICT, WITHOUT ROWID',
  },
})

const insertOrder = prepared<OrderTables, z.output<typeof Order>>()((db, $) =>
  db.insertInto('orders').values({ order_id: $.orderId, buyer_id: $.buyerId, sku: $.sku, cents: $.cents }),
)
const insertShipment = prepared<ShippingTables, { orderId: string; sku: string }>()((db, $) =>
  db.insertInto('shipments').values({ order_id: $.orderId, sku: $.sku }),
)
const selectOrder = prepared<OrderTables, { orderId: string }>()((db, $) =>
  db.selectFrom('orders').selectAll().where('order_id', '=', $.orderId),
)

/** The one service that takes orders, with nobody listening. */
export function createOrders(): System {
  return system('bench-orders', { services: [createOrdersService('prepared')] })
}

function createOrdersService(statements: 'prepared' | 'built') {
  return service(orders, {
    store: ordersStore,
    handlers: {
      place: ({ input, tx }) =>
        tx(async ({ db, emit }) => {
          if (statements === 'prepared') await insertOrder.run(db, input)
          else
            await db
              .insertInto('orders')
              .values({ order_id: input.orderId, buyer_id: input.buyerId, sku: input.sku, cents: input.cents })
              .execute()
          emit(orderPlaced, input)
          return { orderId: input.orderId }
        }),
      async get({ input, db }) {
        const row = await selectOrder.get(db, input)
        if (!row) throw new Error('no such order')
        return { orderId: row.order_id, buyerId: row.buyer_id, sku: row.sku, cents: row.cents }
      },
    },
  })
}

/**
 * Through prepared statements, or through the query builder. `onShipped` is called when an order's shipment has been
 * committed.
 */
export function createShop(statements: 'prepared' | 'built', onShipped: (orderId: string) => void = () => {}): System {
  const shipping = service(contract('shipping', {}), {
    store: shippingStore,
    handlers: {},
    subscribe: ({ on }) => [
      on(orderPlaced, async ({ event, tx }) => {
        const { orderId, sku } = event.data
        await tx(async ({ db }) => {
          if (statements === 'prepared') await insertShipment.run(db, { orderId, sku })
          else await db.insertInto('shipments').values({ order_id: orderId, sku }).execute()
        })
        onShipped(orderId)
      }),
    ],
  })
  return system('bench-shop', { services: [createOrdersService(statements), shipping] })
}

/** A source of events and one simple projection of them. */
export function createCatalogue(): System {
  const insert = prepared<ShippingTables, { orderId: string; sku: string }>()((db, $) =>
    db.insertInto('shipments').values({ order_id: $.orderId, sku: $.sku }),
  )
  const ordersService = service(orders, {
    store: ordersStore,
    handlers: {
      place: ({ input, tx }) =>
        tx(({ emit }) => {
          emit(orderPlaced, input)
          return { orderId: input.orderId }
        }),
      get: () => {
        throw new Error('not part of this workload')
      },
    },
  })
  const list = projection('list', {
    store: shippingStore,
    subscribe: ({ project }) => [
      project(orderPlaced, ({ data }, { db }) => insert.run(db, { orderId: data.orderId, sku: data.sku })),
    ],
  })
  const reading = service(contract('reading', {}), { projections: [list], handlers: {} })
  return system('bench-catalogue', { services: [ordersService, reading] })
}
