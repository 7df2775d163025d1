import { measureCeiling } from './ceiling.ts'
import type { Result } from './result.ts'
import { createOrder, createShop } from './shop.ts'
import { runConcurrently, withFolder, withSystem } from './world.ts'

/** Requests under way at a time, and so the most that share a commit; the ceiling commits in groups of the same size. */
const IN_FLIGHT = 256
const COUNT = 30_000

/** Command with its outbox row → relay → log → effect and cursor in the other store, everything on, beside a loop written by hand. */
export async function measureDurablePath(): Promise<Result[]> {
  const ceiling = await withFolder(async (folder) => measureCeiling(folder, COUNT, IN_FLIGHT))
  const prepared = await measurePath('prepared')
  const built = await measurePath('built')
  return [
    { name: 'durable path, loop by hand (the ceiling)', value: ceiling, unit: 'orders/s', goal: 20_000 },
    { name: 'durable path, prepared statements', value: prepared, unit: 'orders/s', ratio: prepared / ceiling, goal: 0.6 },
    { name: 'durable path, query builder', value: built, unit: 'orders/s', ratio: built / ceiling, goal: 0.4 },
  ]
}

function measurePath(statements: 'prepared' | 'built'): Promise<number> {
  let shipped = 0
  let allShipped = (): void => {}
  const system = createShop(statements, () => {
    if (++shipped === COUNT + WARM_UP) allShipped()
  })
  return withSystem(system, async ({ running }) => {
    const place = (index: number): Promise<unknown> => running.dispatch('orders.place', { input: createOrder(index) })
    await runConcurrently(WARM_UP, IN_FLIGHT, place)
    await running.quiet()
    const done = new Promise<void>((resolve) => (allShipped = resolve))
    const startedMs = performance.now()
    await runConcurrently(COUNT, IN_FLIGHT, (index) => place(index + WARM_UP))
    await done
    return COUNT / ((performance.now() - startedMs) / 1_000)
  })
}

const WARM_UP = 3_000

/** From request to committed effect in the other service, at a steady rate. */
export async function measureLatency(): Promise<Result[]> {
  const begun = new Map<string, number>()
  const latencies: number[] = []
  const system = createShop('prepared', (orderId) => {
    const at = begun.get(orderId)
    if (at !== undefined) latencies.push(performance.now() - at)
  })
  await withSystem(system, async ({ running }) => {
    await runConcurrently(WARM_UP, IN_FLIGHT, (index) => running.dispatch('orders.place', { input: createOrder(index) }))
    await running.quiet()
    const startedMs = performance.now()
    const answers: Promise<unknown>[] = []
    await new Promise<void>((resolve) => {
      let sent = 0
      const tick = (): void => {
        for (const due = ((performance.now() - startedMs) / 1_000) * RATE; sent < due && sent < RATE * SECONDS; sent++) {
          const order = createOrder(WARM_UP + sent)
          begun.set(order.orderId, performance.now())
          answers.push(running.dispatch('orders.place', { input: order }))
        }
        if (sent < RATE * SECONDS) setTimeout(tick, 1)
        else resolve()
      }
      tick()
    })
    await Promise.all(answers)
    await running.quiet()
  })
  latencies.sort((a, b) => a - b)
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? Number.NaN
  return [
    { name: `request to effect at ${RATE.toLocaleString('en')}/s, p50`, value: at(0.5), unit: 'ms', goal: 10, atMost: true },
    { name: `request to effect at ${RATE.toLocaleString('en')}/s, p99`, value: at(0.99), unit: 'ms', goal: 50, atMost: true },
  ]
}

const RATE = 1_000
const SECONDS = 5
