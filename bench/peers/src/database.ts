import pg from 'pg'
import type { Order } from '../../src/order.ts'

/**
 * As many as there are requests under way would only queue inside PostgreSQL; as few as there are cores would leave its
 * group commit unused.
 */
export const CONNECTIONS = 32

export function openDatabase(connectionString: string): pg.Pool {
  return new pg.Pool({ connectionString, max: CONNECTIONS, min: CONNECTIONS })
}

/** Inserts the order in a transaction of its own, along with whatever `more` writes on the same connection. */
export async function insertOrder(
  pool: pg.Pool,
  order: Order,
  more?: (client: pg.PoolClient) => Promise<unknown>,
): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await client.query({
      name: 'insert-order',
      text: 'INSERT INTO orders.orders (order_id, buyer_id, sku, cents) VALUES ($1, $2, $3, $4)',
      values: [order.orderId, order.buyerId, order.sku, order.cents],
    })
    await more?.(client)
    await client.query('COMMIT')
  } finally {
    client.release()
  }
}

/** The effect, which may be asked for again without being done again. */
export async function insertShipment(pool: pg.Pool, { orderId, sku }: Order): Promise<void> {
  await pool.query({
    name: 'insert-shipment',
    text: 'INSERT INTO shipping.shipments (order_id, sku) VALUES ($1, $2) ON CONFLICT DO NOTHING',
    values: [orderId, sku],
  })
}
