import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createShop, desk, stock } from '../../test/shop.ts'
import { world } from './world.ts'

describe('an event that is noted before it is tried, since its process ended before', () => {
  it('is handled before those behind it of its key, also where its service stops while it is being noted', async () => {
    for (let nth = 1; nth <= 16; nth++) {
      const packed: string[] = []
      await using shop = await world(createShop({ packing: ({ data }) => void packed.push(data.sku) }), {
        runtime: { partitions: 1, handlingsInFlightMax: 2 },
      })
      shop.crash('stock')
      // one more than are noted
      for (const sku of ['first', 'second', 'third']) await shop.call(desk.place, { id: 'o1', sku })
      shop.inject('stock', 'commit', { answerDelayMs: 1_000 }, nth)
      await shop.restart('stock')
      await shop.clock.advance('100ms')
      await shop.stop('stock')
      await shop.start()
      await shop.quiet()
      assert.deepEqual([...new Set(packed)], ['first', 'second', 'third'], `when commit ${nth} was answered late`)
      assert.equal((await shop.call(stock.boxes, {})).length, 3)
    }
  })
})
