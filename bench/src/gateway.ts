import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createNodeHost } from '@atoll/host/node'
import { silentLogger } from '@atoll/host'
import { createGateway } from '@atoll/gateway'
import Database from 'better-sqlite3'
import Fastify from 'fastify'
import { createOrder, type Order } from './order.ts'
import { median, type Result } from './result.ts'
import { createOrders } from './shop.ts'
import { withFolder, withSystem } from './world.ts'

const CONNECTIONS = 64
const SECONDS = 2
const ROUNDS = 5
const WARM_UP_SECONDS = 4

/**
 * The gateway beside bare Fastify that answers the same JSON, and does the same inserts with group commit. (Ours also
 * hands the event to the log while it serves; Fastify leaves it in the outbox.) They take turns, and the median counts.
 * The load comes from a process of its own.
 */
export async function measureGateway(): Promise<Result[]> {
  return withFastify((bare) =>
    withAtoll(async (ours) => {
      const kinds = ['query', 'command'] as const
      for (const kind of kinds) for (const url of [bare, ours]) await load(url, kind, WARM_UP_SECONDS)
      const results: Result[] = []
      for (const kind of kinds) {
        const rounds: { bare: number; ours: number }[] = []
        for (let round = 0; round < ROUNDS; round++)
          rounds.push({ bare: await load(bare, kind, SECONDS), ours: await load(ours, kind, SECONDS) })
        const { what, goal } = { query: { what: 'query', goal: 0.6 }, command: { what: 'durable command', goal: 0.5 } }[
          kind
        ]
        results.push(
          { name: `${what}, bare Fastify`, value: median(rounds.map((round) => round.bare)), unit: 'req/s', goal: 0 },
          {
            name: `${what} through the gateway`,
            value: median(rounds.map((round) => round.ours)),
            unit: 'req/s',
            ratio: median(rounds.map((round) => round.ours / round.bare)),
            goal,
          },
        )
      }
      return results
    }),
  )
}

function withAtoll<T>(work: (url: string) => Promise<T>): Promise<T> {
  return withSystem(createOrders(), async ({ running, host }) => {
    await running.dispatch('orders.place', { input: createOrder(0) })
    const gateway = createGateway(running, { host, logger: silentLogger })
    const { url } = await gateway.listen({ port: 0 })
    try {
      return await work(url)
    } finally {
      await gateway.close({ drainMs: 1_000 })
    }
  })
}

function withFastify<T>(work: (url: string) => Promise<T>): Promise<T> {
  return withFolder(async (folder) => {
    const db = new Database(join(folder, 'orders.db'))
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.exec(`CREATE TABLE orders (order_id TEXT PRIMARY KEY, buyer_id TEXT NOT NULL, sku TEXT NOT NULL, cents INTEGER NOT NULL) STRICT, WITHOUT ROWID;
      CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, partition INTEGER, id TEXT, type TEXT, version INTEGER, key TEXT, at INTEGER, data TEXT, trace TEXT, cause TEXT) STRICT`)
    const insertOrder = db.prepare('INSERT INTO orders VALUES (?, ?, ?, ?)')
    const insertOutbox = db.prepare(
      'INSERT INTO outbox (partition, id, type, version, key, at, data, trace, cause) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    )
    const selectOrder = db.prepare('SELECT * FROM orders WHERE order_id = ?')
    const waiting: (() => void)[] = []
    const commit = (): void => {
      db.exec('COMMIT')
      for (const resolve of waiting.splice(0)) resolve()
    }
    const host = createNodeHost()
    const place = (order: Order): Promise<void> => {
      if (waiting.length === 0) {
        db.exec('BEGIN IMMEDIATE')
        setImmediate(commit)
      }
      insertOrder.run(order.orderId, order.buyerId, order.sku, order.cents)
      insertOutbox.run(0, host.uuid(), 'order.placed', 1, order.orderId, Date.now(), JSON.stringify(order), '', '')
      return new Promise((resolve) => waiting.push(resolve))
    }
    const app = Fastify()
    app.get<{ Params: { orderId: string } }>('/orders/:orderId', async ({ params }) => {
      const row = selectOrder.get(params.orderId) as { order_id: string; buyer_id: string; sku: string; cents: number }
      return { orderId: row.order_id, buyerId: row.buyer_id, sku: row.sku, cents: row.cents }
    })
    app.post<{ Body: Order }>('/orders', async ({ body }) => {
      await place(body)
      return { orderId: body.orderId }
    })
    await place(createOrder(0))
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    try {
      return await work(url)
    } finally {
      await app.close()
      db.close()
    }
  })
}

async function load(url: string, kind: 'query' | 'command', seconds: number): Promise<number> {
  const args = [join(import.meta.dirname, 'load.ts'), url, kind, String(CONNECTIONS), String(seconds)]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return Number(stdout)
}
