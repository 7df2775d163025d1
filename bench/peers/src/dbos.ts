import { DBOS, DBOSClient } from '@dbos-inc/dbos-sdk'
import type { Order } from '../../src/order.ts'
import { readAssignment, serveOrders, serveShipping } from '../../src/peers/program.ts'
import { CONNECTIONS, insertOrder, insertShipment, openDatabase } from './database.ts'

// DBOS Transact: the workflow that ships is enqueued in the order's transaction, under the order's id; its step commits
// the effect, and is then checkpointed. (A step that crashed in between is repeated, and does nothing.)

const { role, database, name } = readAssignment()
const app = { name: 'bench', applicationVersion: '1' }

if (role === 'orders') {
  const pool = openDatabase(database)
  const client = await DBOSClient.create({ systemDatabaseUrl: database, applicationName: app.name })
  const options = { workflowName: 'ship', queueName: name, appVersion: app.applicationVersion }
  serveOrders(
    async (order) => {
      await insertOrder(pool, order, (tx) =>
        client.enqueueInTransaction(tx, { ...options, workflowID: order.orderId }, order),
      )
      return { orderId: order.orderId }
    },
    () => client.destroy().then(() => pool.end()),
  )
} else {
  await serveShipping(async (shipped) => {
    const pool = openDatabase(database)
    DBOS.registerWorkflow(
      async (order: Order) => {
        await DBOS.runStep(() => insertShipment(pool, order), { name: 'insertShipment' })
        shipped(order.orderId)
      },
      { name: 'ship' },
    )
    DBOS.setConfig({
      ...app,
      systemDatabaseUrl: database,
      systemDatabasePoolSize: CONNECTIONS,
      logLevel: 'error',
      listenQueues: [name],
    })
    await DBOS.launch()
    // The default interval, a second, would be most of what is measured.
    await DBOS.registerQueue(name, { minPollingIntervalMs: 50 })
    return () => DBOS.shutdown().then(() => pool.end())
  })
}
