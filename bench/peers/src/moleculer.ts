import { Middleware } from '@moleculer/channels'
import { ServiceBroker, type Context, type Middleware as BrokerMiddleware } from 'moleculer'
import type { Order } from '../../src/order.ts'
import { readAssignment, serveOrders, serveShipping } from '../../src/peers/program.ts'
import { insertOrder, insertShipment, openDatabase } from './database.ts'

// Moleculer with Channels, on NATS JetStream or Redis Streams. It has no outbox: the event is published after the
// commit, and acknowledged after the effect.

const { role, database, engine, name } = readAssignment()
const channel = `${name}.order.placed`
const pool = openDatabase(database)
/** Messages under way in a consumer at a time. The default, 1, would be a benchmark of round trips. */
const maxInFlight = 256
const adapter = engine.startsWith('nats')
  ? { type: 'NATS', options: { nats: { url: engine }, maxInFlight } }
  : { type: 'Redis', options: { redis: engine, maxInFlight } }
// The types of Channels want every option of every adapter, and are unknown to those of Moleculer.
const channels = Middleware({ adapter } as unknown as Parameters<typeof Middleware>[0]) as unknown as BrokerMiddleware
const broker = new ServiceBroker({
  nodeID: role,
  logger: { type: 'Console', options: { level: 'error' } },
  middlewares: [channels],
})
const close = (): Promise<void> => broker.stop().then(() => pool.end())

if (role === 'orders') {
  broker.createService({
    name: 'orders',
    actions: {
      async place({ params: order, broker }: Context<Order>) {
        await insertOrder(pool, order)
        await broker.sendToChannel(channel, order)
        return { orderId: order.orderId }
      },
    },
  })
  await broker.start()
  serveOrders((order) => broker.call('orders.place', order), close)
} else {
  await serveShipping(async (shipped) => {
    broker.createService({
      name: 'shipping',
      channels: {
        [channel]: {
          maxRetries: 10,
          async handler(order: Order) {
            await insertShipment(pool, order)
            shipped(order.orderId)
          },
        },
      },
    })
    await broker.start()
    return close
  })
}
