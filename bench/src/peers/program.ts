import { createOrder, indexOf, type Order } from '../order.ts'

// What the programs under measurement have in common, Atoll's and the peers': each is started twice, as the service
// that takes orders and as the one that ships them, and told over IPC what to do. It imports nothing, so that peers
// load nothing of Atoll.

/** What a program is given as its first argument, as JSON. */
export interface Assignment {
  readonly role: 'orders' | 'shipping'
  /** A fresh PostgreSQL database with `orders.orders` and `shipping.shipments` in it. */
  readonly database: string
  /** The engine that carries the events, where that is not the database. */
  readonly engine: string
  /** Unique to this run: for names on an engine that others use too. */
  readonly name: string
  /** Which of several ways of doing it, where a program knows several. */
  readonly variant?: string
}

/** What a program is told: orders `from` … `from + count − 1` are the ones to place, or to be shipped. */
export interface Batch {
  readonly from: number
  readonly count: number
  /** Requests under way at a time. */
  readonly inFlight: number
}

/** When something began and ended, in milliseconds of the machine's monotonic clock. */
export type Times = readonly (readonly [begun: number, ended: number])[]

/**
 * What it says: that it is ready; or of each order of the batch when it was placed, or shipped, and how long the
 * process computed meanwhile.
 */
export type Report = { readonly ready: true } | { readonly times: Times; readonly cpuMs: number }

export function readAssignment(): Assignment {
  // The bench wrote it; see `Contender` there.
  return JSON.parse(process.argv[2]!) as Assignment
}

/** The service that takes orders: `place` resolves when the request would be answered. */
export function serveOrders(place: (order: Order) => Promise<unknown>, close: () => Promise<unknown>): void {
  serve(async ({ from, count, inFlight }) => {
    const times: [number, number][] = []
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < count) {
        const index = next++
        const begun = nowMs()
        await place(createOrder(from + index))
        times[index] = [begun, nowMs()]
      }
    }
    await Promise.all(Array.from({ length: inFlight }, worker))
    return times
  }, close)
}

/**
 * The service that ships. `start` starts it, calls `shipped` whenever the effect of an order has been committed, and
 * returns what ends it.
 */
export async function serveShipping(
  start: (shipped: (orderId: string) => void) => Promise<() => Promise<unknown>>,
): Promise<void> {
  const shipped = new Map<number, number>()
  /** Orders before it have been told of; some may be shipped once more. */
  let from = 0
  let check = (): void => {}
  const close = await start((orderId) => {
    const index = indexOf(orderId)
    if (index < from || shipped.has(index)) return
    shipped.set(index, nowMs())
    check()
  })
  serve(
    ({ count }) =>
      new Promise((resolve) => {
        check = () => {
          if (shipped.size < count) return
          check = () => {}
          const times = [...shipped].sort(([a], [b]) => a - b).map(([, at]) => [at, at] as const)
          from += count
          shipped.clear()
          resolve(times)
        }
        check()
      }),
    close,
  )
}

function serve(work: (batch: Batch) => Promise<Times>, close: () => Promise<unknown>): void {
  process.on('message', (batch: Batch) => {
    const before = process.cpuUsage()
    void work(batch).then((times) => {
      const { user, system } = process.cpuUsage(before)
      say({ times, cpuMs: (user + system) / 1_000 })
    })
  })
  process.once('disconnect', () => void close().then(() => process.exit(0)))
  say({ ready: true })
}

function say(report: Report): void {
  process.send!(report) // started with IPC
}

/** One clock for all processes of the machine. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
