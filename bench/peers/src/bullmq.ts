import { Queue, Worker } from 'bullmq'
import type { Order } from '../../src/order.ts'
import { readAssignment, serveOrders, serveShipping } from '../../src/peers/program.ts'
import { insertOrder, insertShipment, openDatabase } from './database.ts'

// BullMQ on Redis. It has no outbox: the job is added after the commit, under the order's id, so that adding it twice
// adds one.

const { role, database, engine, name } = readAssignment()
const pool = openDatabase(database)
const { hostname, port } = new URL(engine)
const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null }

if (role === 'orders') {
  const queue = new Queue<Order>(name, {
    connection,
    defaultJobOptions: { attempts: 10, backoff: { type: 'exponential', delay: 100 }, removeOnComplete: true },
  })
  await queue.waitUntilReady()
  serveOrders(
    async (order) => {
      await insertOrder(pool, order)
      await queue.add('order.placed', order, { jobId: order.orderId })
      return { orderId: order.orderId }
    },
    () => queue.close().then(() => pool.end()),
  )
} else {
  await serveShipping(async (shipped) => {
    const worker = new Worker<Order>(
      name,
      async ({ data: order }) => {
        await insertShipment(pool, order)
        shipped(order.orderId)
      },
      { connection, concurrency: 64 },
    )
    await worker.waitUntilReady()
    return () => worker.close().then(() => pool.end())
  })
}
