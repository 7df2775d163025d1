import { join } from 'node:path'
import Database from 'better-sqlite3'
import { createOrder } from './order.ts'

/**
 * The ceiling of the durable path: a loop written by hand that leaves the same rows in the same kind of files, with
 * prepared statements and the same group commit, and does nothing else: no validation, no promises, no framework.
 * Returns orders a second.
 */
export function measureCeiling(folder: string, count: number, group: number): number {
  const orders = open(join(folder, 'orders.db'))
  const log = open(join(folder, 'log.db'))
  const shipping = open(join(folder, 'shipping.db'))
  orders.exec(`CREATE TABLE orders (order_id TEXT PRIMARY KEY, buyer_id TEXT NOT NULL, sku TEXT NOT NULL, cents INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, partition INTEGER, id TEXT, type TEXT, version INTEGER, key TEXT, at INTEGER, data TEXT, trace TEXT, cause TEXT) STRICT`)
  log.exec(`CREATE TABLE records (source TEXT, partition INTEGER, number INTEGER, "order" TEXT, id TEXT, type TEXT, version INTEGER, key TEXT, at INTEGER, data TEXT, trace TEXT, cause TEXT,
    PRIMARY KEY (source, partition, number)) STRICT, WITHOUT ROWID`)
  shipping.exec(`CREATE TABLE shipments (order_id TEXT PRIMARY KEY, sku TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE cursor (source TEXT, partition INTEGER, number INTEGER, PRIMARY KEY (source, partition)) STRICT, WITHOUT ROWID`)
  const insertOrder = orders.prepare('INSERT INTO orders VALUES (?, ?, ?, ?)')
  const insertOutbox = orders.prepare(
    'INSERT INTO outbox (partition, id, type, version, key, at, data, trace, cause) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  )
  const deleteOutbox = orders.prepare('DELETE FROM outbox WHERE seq <= ?')
  const selectOutbox = orders.prepare('SELECT * FROM outbox WHERE seq > ? ORDER BY seq').raw()
  const insertRecord = log.prepare('INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
  const selectRecords = log
    .prepare('SELECT * FROM records WHERE source = ? AND partition = ? AND number > ? ORDER BY number')
    .raw()
  const insertShipment = shipping.prepare('INSERT INTO shipments VALUES (?, ?)')
  const updateCursor = shipping.prepare(
    'INSERT INTO cursor VALUES (?, ?, ?) ON CONFLICT (source, partition) DO UPDATE SET number = excluded.number',
  )
  const numbers = new Array<number>(PARTITIONS).fill(0)
  const trace = '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01'

  const startedMs = performance.now()
  let seq = 0
  for (let from = 0; from < count; from += group) {
    orders.exec('BEGIN IMMEDIATE')
    for (let index = from; index < Math.min(count, from + group); index++) {
      const order = createOrder(index)
      insertOrder.run(order.orderId, order.buyerId, order.sku, order.cents)
      insertOutbox.run(
        index % PARTITIONS,
        order.buyerId,
        'order.placed',
        1,
        order.orderId,
        Date.now(),
        JSON.stringify(order),
        trace,
        order.orderId,
      )
    }
    orders.exec('COMMIT')

    const cursors = [...numbers]
    log.exec('BEGIN IMMEDIATE')
    for (const row of selectOutbox.all(seq) as [number, number, ...unknown[]][]) {
      const [rowSeq, partition, ...event] = row
      insertRecord.run('orders', partition, ++numbers[partition]!, String(rowSeq), ...event)
      seq = rowSeq
    }
    log.exec('COMMIT')

    shipping.exec('BEGIN IMMEDIATE')
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for (const record of selectRecords.all('orders', partition, cursors[partition]) as string[][]) {
        const order = JSON.parse(record[9]!) as { orderId: string; sku: string }
        insertShipment.run(order.orderId, order.sku)
      }
      updateCursor.run('orders', partition, numbers[partition])
    }
    shipping.exec('COMMIT')

    orders.exec('BEGIN IMMEDIATE')
    deleteOutbox.run(seq)
    orders.exec('COMMIT')
  }
  const seconds = (performance.now() - startedMs) / 1_000
  for (const db of [orders, log, shipping]) db.close()
  return count / seconds
}

function open(file: string): Database.Database {
  const db = new Database(file)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  return db
}

const PARTITIONS = 16
