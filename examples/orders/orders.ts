import { sqlStore } from '@atoll/store'
import { event, notFound, service, type TransactionContext } from 'atoll'
import type { Kysely } from 'kysely'
import { z } from 'zod'
import {
  orderCancelled,
  orderConfirmed,
  orderPlaced,
  orders,
  paymentTaken,
  stockRefused,
  stockReserved,
} from './contracts.ts'

interface Tables {
  orders: {
    order_id: string
    status: 'waiting' | 'confirmed' | 'cancelled'
    reserved: number
    paid: number
    timer: string
  }
}

/** What the order's timer says when nobody stopped it. Nobody else needs to know. */
const timeUp = event('order.time-up', {
  version: 1,
  key: ({ orderId }) => orderId,
  data: z.object({ orderId: z.string() }),
})

/**
 * The saga: an order is confirmed when its goods are reserved and it is paid, and cancelled if either fails to come.
 */
export default service(orders, {
  store: sqlStore<Tables>({
    migrations: {
      '0001-orders': `CREATE TABLE orders (
        order_id TEXT PRIMARY KEY, status TEXT NOT NULL, reserved INTEGER NOT NULL, paid INTEGER NOT NULL, timer TEXT NOT NULL) STRICT`,
    },
  }),
  events: [timeUp],
  handlers: {
    place: ({ input, tx, newId }) =>
      tx(async ({ db, emit, schedule }) => {
        const orderId = newId()
        const timer = schedule(timeUp, { orderId }, { afterMs: HELD_MS })
        await db
          .insertInto('orders')
          .values({ order_id: orderId, status: 'waiting', reserved: 0, paid: 0, timer })
          .execute()
        emit(orderPlaced, { orderId, ...input })
        return { orderId }
      }),
    async get({ input: { orderId }, db }) {
      const order = await findOrder(db, orderId)
      if (!order) throw notFound('order')
      return { orderId, status: order.status }
    },
  },
  subscribe: ({ on }) => [
    on(stockReserved, ({ event: { data }, tx }) => tx((work) => step(work, data.orderId, { reserved: 1 }))),
    on(paymentTaken, ({ event: { data }, tx }) => tx((work) => step(work, data.orderId, { paid: 1 }))),
    on(stockRefused, ({ event: { data }, tx }) => tx((work) => cancelOrder(work, data.orderId, 'out of stock'))),
    on(timeUp, ({ event: { data }, tx }) => tx((work) => cancelOrder(work, data.orderId, 'not paid in time'))),
  ],
})

/** Notes what has come, and confirms the order when all of it has. */
async function step({ db, emit, cancel }: Work, orderId: string, came: { reserved: 1 } | { paid: 1 }): Promise<void> {
  await db.updateTable('orders').set(came).where('order_id', '=', orderId).execute()
  const order = await findOrder(db, orderId)
  if (order?.status !== 'waiting' || !order.reserved || !order.paid) return
  await db.updateTable('orders').set({ status: 'confirmed' }).where('order_id', '=', orderId).execute()
  await cancel(order.timer)
  emit(orderConfirmed, { orderId })
}

/** The others undo their part when they hear of it. */
async function cancelOrder(
  { db, emit, cancel }: Work,
  orderId: string,
  reason: 'out of stock' | 'not paid in time',
): Promise<void> {
  const order = await findOrder(db, orderId)
  if (order?.status !== 'waiting') return
  await db.updateTable('orders').set({ status: 'cancelled' }).where('order_id', '=', orderId).execute()
  await cancel(order.timer)
  emit(orderCancelled, { orderId, reason })
}

function findOrder(db: Kysely<Tables>, orderId: string): Promise<Tables['orders'] | undefined> {
  return db.selectFrom('orders').selectAll().where('order_id', '=', orderId).executeTakeFirst()
}

type Work = TransactionContext<Tables, typeof orderConfirmed | typeof orderCancelled>

/** How long goods are held for an order that is not paid. */
const HELD_MS = 15 * 60_000
