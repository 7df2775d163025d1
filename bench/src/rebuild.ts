import { createOrder } from './order.ts'
import type { Result } from './result.ts'
import { createCatalogue } from './shop.ts'
import { runConcurrently, withSystem } from './world.ts'

const COUNT = 100_000

/** Reading the whole log again into a new generation of a simple projection. */
export function measureRebuild(): Promise<Result[]> {
  return withSystem(createCatalogue(), async ({ running }) => {
    await runConcurrently(COUNT, 1_000, (index) => running.dispatch('orders.place', { input: createOrder(index) }))
    await running.quiet()
    const startedMs = performance.now()
    for await (const progress of running.admin.replay('reading.list')) void progress
    const rate = COUNT / ((performance.now() - startedMs) / 1_000)
    return [{ name: 'rebuild of a simple projection', value: rate, unit: 'events/s', goal: 50_000 }]
  })
}
