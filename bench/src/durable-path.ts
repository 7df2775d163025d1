import { measureCeiling } from './ceiling.ts'
import { createOrder } from './order.ts'
import { median, type Result } from './result.ts'
import { createShop } from './shop.ts'
import { runConcurrently, withFolder, withSystem } from './world.ts'

/**
 * Requests under way at a time, and so the most that share a commit; the ceiling commits in groups of the same size.
 */
const IN_FLIGHT = 256
const COUNT = 20_000
const ROUNDS = 5
/**
 * Services run for days. Before anything is measured, as much is done as a just-in-time compiler needs to make up its
 * mind.
 */
const WARM_UP = 60_000

/**
 * Command with its outbox row → relay → log → effect and cursor in the other store, everything on, beside a loop
 * written by hand. They take turns, and the median counts: machines are not quiet.
 */
export async function measureDurablePath(): Promise<Result[]> {
  return withPath('prepared', (prepared) =>
    withPath('built', async (built) => {
      const rounds: { ceiling: number; prepared: number; built: number }[] = []
      for (let round = 0; round < ROUNDS; round++) {
        rounds.push({
          ceiling: await withFolder(async (folder) => measureCeiling(folder, COUNT, IN_FLIGHT)),
          prepared: await prepared(),
          built: await built(),
        })
      }
      const of = (who: 'prepared' | 'built') => ({
        value: median(rounds.map((round) => round[who])),
        ratio: median(rounds.map((round) => round[who] / round.ceiling)),
      })
      return [
        {
          name: 'durable path, loop by hand (the ceiling)',
          value: median(rounds.map((round) => round.ceiling)),
          unit: 'orders/s',
          goal: 20_000,
        },
        { name: 'durable path, prepared statements', ...of('prepared'), unit: 'orders/s', goal: 0.6 },
        { name: 'durable path, query builder', ...of('built'), unit: 'orders/s', goal: 0.4 },
      ]
    }),
  )
}

/** Runs `work` with a shop that is warm, and what measures one round of it in orders a second. */
function withPath<T>(
  statements: 'prepared' | 'built',
  work: (measure: () => Promise<number>) => Promise<T>,
): Promise<T> {
  let placed = 0
  let shipped = 0
  let allShipped = (): void => {}
  const system = createShop(statements, () => {
    if (++shipped === placed) allShipped()
  })
  return withSystem(system, async ({ running }) => {
    const measure = async (count: number): Promise<number> => {
      const from = placed
      placed += count
      const done = new Promise<void>((resolve) => (allShipped = resolve))
      const startedMs = performance.now()
      await runConcurrently(count, IN_FLIGHT, (index) =>
        running.dispatch('orders.place', { input: createOrder(from + index) }),
      )
      await done
      return count / ((performance.now() - startedMs) / 1_000)
    }
    await measure(WARM_UP)
    return work(() => measure(COUNT))
  })
}

/** From request to committed effect in the other service, at a steady rate. */
export async function measureLatency(): Promise<Result[]> {
  const begun = new Map<string, number>()
  const latencies: number[] = []
  const system = createShop('prepared', (orderId) => {
    const at = begun.get(orderId)
    if (at !== undefined) latencies.push(performance.now() - at)
  })
  await withSystem(system, async ({ running }) => {
    await runConcurrently(WARM_UP, IN_FLIGHT, (index) =>
      running.dispatch('orders.place', { input: createOrder(index) }),
    )
    await running.quiet()
    const startedMs = performance.now()
    const answers: Promise<unknown>[] = []
    await new Promise<void>((resolve) => {
      let sent = 0
      const tick = (): void => {
        for (
          const due = ((performance.now() - startedMs) / 1_000) * RATE;
          sent < due && sent < RATE * SECONDS;
          sent++
        ) {
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
    {
      name: `request to effect at ${RATE.toLocaleString('en')}/s, p50`,
      value: at(0.5),
      unit: 'ms',
      goal: 10,
      atMost: true,
    },
    {
      name: `request to effect at ${RATE.toLocaleString('en')}/s, p99`,
      value: at(0.99),
      unit: 'ms',
      goal: 50,
      atMost: true,
    },
  ]
}

const RATE = 1_000
const SECONDS = 5
