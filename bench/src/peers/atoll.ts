import { silentLogger, type Logger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { createPostgresStores } from '@atoll/store/postgres'
import { startSystem } from 'atoll/runtime'
import { openLog, type LogEngine } from '../engines/logs.ts'
import { createShop } from '../shop.ts'
import { readAssignment, serveOrders, serveShipping } from './program.ts'

// Atoll: stores in PostgreSQL, and the log on the engine. The order and its event commit together; the effect and the
// cursor commit together.

const { role, database, engine, name, variant } = readAssignment()
const host = createNodeHost()
const say = (fields: object, message?: string): void => console.error(role, message, fields)
const logger: Logger = { ...silentLogger, warn: say, error: say }
const stores = createPostgresStores({ url: database, system: name, host })
// The bench names the engine of its contenders.
const log = await openLog(variant as LogEngine, variant === 'postgres' ? database : engine, name, host, logger)

async function start(onShipped?: (orderId: string) => void) {
  const running = await startSystem(
    createShop('prepared', onShipped),
    { host, log, stores, logger },
    { services: [role] },
  )
  const close = async (): Promise<void> => {
    await running.stop()
    await stores.close()
    await log.close()
  }
  return { running, close }
}

if (role === 'orders') {
  const { running, close } = await start()
  serveOrders((order) => running.dispatch('orders.place', { input: order }), close)
} else {
  await serveShipping(async (shipped) => (await start(shipped)).close)
}
