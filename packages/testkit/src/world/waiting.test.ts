import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createShop, desk, mail } from '../../test/shop.ts'
import { world } from './world.ts'

describe('a projection whose handler waits for something else than its store', () => {
  it('holds that event alone, and counts its tries', async () => {
    const counting = ({ data }: { data: { id: string } }): unknown =>
      data.id === 'bad' ? new Promise(() => {}) : undefined
    await using shop = await world(createShop({ counting }), { runtime: { partitions: 1, attemptsMax: 3 } })
    await Promise.all(['o1', 'bad', 'o2', 'o3'].map((id) => shop.call(desk.place, { id, sku: 'lamp' })))
    await shop.clock.advance('30m')
    assert.deepEqual(await shop.call(mail.counts, {}), { lamp: 3 })
    assert.deepEqual(
      (await shop.deadLetters()).map(({ subscription, event, error, attempts }) => [
        subscription,
        event.key,
        error.code,
        attempts,
      ]),
      [['mail.counts', 'bad', 'TX_WAITED', 3]],
    )
    await shop.assertConserved()
  })
})
