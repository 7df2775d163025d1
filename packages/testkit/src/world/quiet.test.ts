import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createShop, desk, mail, reminded, stock } from '../../test/shop.ts'
import { world } from './world.ts'

describe('quiet', () => {
  it('waits until everything that came of it is done, through every service', async () => {
    await using shop = await world(createShop())
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' }, { as: 'ada' })
    await shop.quiet()
    assert.deepEqual(await shop.call(mail.letters, {}), ['ada: lamp'])
    assert.ok(shop.clock.elapsedMs < 1_000, 'and no longer')
  })

  it('waits for tries to come', async () => {
    let tries = 0
    await using shop = await world(
      createShop({
        packing: () => {
          if (++tries < 6) throw new Error('no tape')
        },
      }),
    )
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.quiet()
    assert.equal(tries, 6)
    assert.deepEqual(await shop.call(stock.boxes, {}), ['o1'])
    assert.ok(shop.clock.elapsedMs >= 100 + 200 + 400 + 800 + 1_600)
  })

  it('does not wait for timers', async () => {
    await using shop = await world(createShop())
    await shop.call(desk.remind, { id: 'o1', afterMs: 2_000 })
    await shop.quiet()
    assert.ok(shop.clock.elapsedMs < 2_000)
    assert.deepEqual(await shop.events(reminded), [])
  })

  it('is reached when what is left is a dead letter, and parked behind it', async () => {
    await using shop = await world(createShop({ packing: () => Promise.reject(new Error('no tape')) }))
    for (const sku of ['lamp', 'tea']) await shop.call(desk.place, { id: 'o1', sku })
    await shop.quiet()
    const row = (await shop.ledger()).find(({ subscription }) => subscription === 'stock')
    assert.deepEqual([row?.dead, row?.parked, row?.pending], [1, 1, 0])
  })

  it('leaves out a service that is down, and waits for it when it is back', async () => {
    await using shop = await world(createShop())
    await shop.stop('stock')
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.quiet()
    assert.deepEqual(await shop.call(mail.counts, {}), { lamp: 1 })
    await shop.restart('stock')
    await shop.quiet()
    assert.deepEqual(await shop.call(stock.boxes, {}), ['o1'])
  })

  it('leaves out what a service that is down has not handed on', async () => {
    await using shop = await world(createShop())
    shop.inject('desk', 'append', { crash: 'before' })
    // nobody knows whether it got its answer
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' }).catch(() => undefined)
    await shop.quiet()
    assert.deepEqual(await shop.call(stock.boxes, {}, { as: 'bob' }), [])
  })

  it('says what is pending when it does not come', async () => {
    await using shop = await world(createShop())
    await shop.scale('stock', 1)
    shop.pause('stock')
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await assert.rejects(shop.quiet({ within: '1m' }), {
      code: 'NOT_QUIET',
      message: /after 1m of virtual time there was still: 1 of order.placed pending in stock/,
    })
    assert.ok(shop.clock.elapsedMs >= 60_000)
  })

  it('does not come while a handler goes on', async () => {
    await using shop = await world(createShop({ packing: () => new Promise(() => {}) }), {
      runtime: { handlingMs: 3_600_000 },
    })
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await assert.rejects(shop.quiet(), { code: 'NOT_QUIET', message: /after 10m/ })
  })

  it('is at once when nothing has happened', async () => {
    await using shop = await world(createShop())
    const beganMs = shop.clock.elapsedMs
    await shop.quiet()
    assert.equal(shop.clock.elapsedMs, beganMs)
  })
})
