import { createShop, desk } from './shop.ts'
import { world } from '../src/world/world.ts'

/** A little of everything: orders, a timer, instances, a crash, a pause, a failing handler. */
export async function eventfulDay(seed: number): Promise<{ hash: string; count: number; ids: readonly string[] }> {
  let tries = 0
  await using shop = await world(
    createShop({
      packing: () => {
        if (++tries % 3 === 0) throw new Error('no tape')
      },
    }),
    { seed, runtime: { leaseMs: 3_000 } },
  )
  await shop.call(desk.remind, { id: 'o1', afterMs: 30_000 })
  await shop.scale('stock', 2)
  await Promise.all(Array.from({ length: 10 }, (_, index) => shop.call(desk.place, { id: `o${index}`, sku: 'tea' })))
  shop.crash('mail')
  const resume = shop.pause('stock')
  await shop.clock.advance('20s')
  resume()
  await shop.restart('mail')
  await shop.request('GET', '/letters')
  await shop.clock.advance('1m')
  await shop.quiet()
  await shop.assertConserved()
  return { hash: shop.trace.hash, count: shop.trace.count, ids: (await shop.events()).map(({ id }) => id) }
}

if (import.meta.main) console.log(JSON.stringify(await eventfulDay(Number(process.argv[2]))))
