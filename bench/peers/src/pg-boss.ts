import { PgBoss, type Db, type Job } from 'pg-boss'
import type { Order } from '../../src/order.ts'
import { readAssignment, serveOrders, serveShipping } from '../../src/peers/program.ts'
import { CONNECTIONS, insertOrder, openDatabase } from './database.ts'

// pg-boss: the job is sent in the order's transaction, and completed in the transaction of its effects, a batch at a
// time. With `notified`, a worker hears of a job at once, for which PostgreSQL commits one transaction after the other;
// without, it looks as often as it may.

const insertShipments =
  'INSERT INTO shipping.shipments (order_id, sku) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING'

const { role, database, name, variant } = readAssignment()
const notified = variant === 'notified'
const boss = new PgBoss({ connectionString: database, max: CONNECTIONS, useListenNotify: notified })
boss.on('error', (error) => console.error(error))
await boss.start()

if (role === 'orders') {
  const pool = openDatabase(database)
  serveOrders(
    async (order) => {
      await insertOrder(pool, order, (client) =>
        boss.send(name, order, { db: { executeSql: (text, values) => client.query(text, values) } }),
      )
      return { orderId: order.orderId }
    },
    () => boss.stop().then(() => pool.end()),
  )
} else {
  await serveShipping(async (shipped) => {
    await boss.createQueue(name, { notify: notified, retryLimit: 10, retryBackoff: true })
    observeCommits(boss.getDb(), shipped)
    const options = {
      batchSize: 100,
      localConcurrency: 2,
      burstWhenBatchFull: true,
      pollingIntervalSeconds: 0.5,
      transactional: true,
    } as const
    await boss.work(name, options, async (jobs: Job<Order>[], tx: Db) => {
      await tx.executeSql(insertShipments, [jobs.map(({ data }) => data.orderId), jobs.map(({ data }) => data.sku)])
    })
    return () => boss.stop()
  })
}

/** pg-boss commits after the handler has returned, and tells nobody; what is measured is when it did. */
function observeCommits(db: Db, shipped: (orderId: string) => void): void {
  const begin = db.beginTransaction!.bind(db) // of the pool, which has it
  db.beginTransaction = async () => {
    const { db: tx, commit, rollback } = await begin()
    const orderIds: string[] = []
    const executeSql: Db['executeSql'] = (text, values) => {
      if (text === insertShipments) orderIds.push(...(values![0] as string[])) // as the handler gave them
      return tx.executeSql(text, values)
    }
    return {
      db: { ...tx, executeSql },
      commit: () => commit().then(() => orderIds.forEach((orderId) => shipped(orderId))),
      rollback,
    }
  }
}
