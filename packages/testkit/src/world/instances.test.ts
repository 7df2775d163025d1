import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createShop, desk, mail, placed, reminded, stock } from '../../test/shop.ts'
import { world } from './world.ts'

const short = { runtime: { leaseMs: 3_000, lookMs: 1_000 } }

describe('stopping', () => {
  it('drains: what is in hand is done, and new work is refused', async () => {
    let packing = false
    await using shop = await world(
      createShop({
        packing: () => {
          packing = true
        },
      }),
    )
    shop.inject('stock', 'handle', { delayMs: 2_000 })
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.clock.advance('1s')
    const stopping = shop.stop('stock')
    await assert.rejects(shop.call(stock.boxes, {}), { code: 'UNAVAILABLE' })
    await stopping
    assert.ok(packing)
    assert.deepEqual(
      (await shop.ledger()).filter(({ subscription }) => subscription === 'stock').map(({ handled }) => handled),
      [1],
    )
    await shop.quiet()
    assert.deepEqual(await shop.call(mail.letters, {}), ['nobody: lamp'], 'what it emitted went out')
  })

  it('ends, also when a handler does not', async () => {
    await using shop = await world(createShop({ packing: () => new Promise(() => {}) }))
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.clock.advance('1s')
    const beganMs = shop.clock.elapsedMs
    await shop.stop('stock')
    assert.ok(shop.clock.elapsedMs - beganMs < 60_000)
  })

  it('ends as well when the service crashes meanwhile', async () => {
    await using shop = await world(createShop())
    shop.inject('stock', 'commit', { crash: 'before' })
    await shop.stop('stock')
    await shop.restart('stock')
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    assert.deepEqual(await shop.call(stock.boxes, {}), ['o1'])
  })

  it('of one that is paused, or waits for one, says so instead of waiting for ever', async () => {
    await using shop = await world(createShop())
    shop.pause('stock')
    await assert.rejects(shop.stop('stock'), { code: 'NOT_QUIET', message: /paused/ })
  })
})

describe('instances of a service', () => {
  it('share its work, and together have every effect once', async () => {
    await using shop = await world(createShop(), short)
    await shop.scale('stock', 2)
    await shop.clock.advance('10s')
    await Promise.all(Array.from({ length: 40 }, (_, index) => shop.call(desk.place, { id: `o${index}`, sku: 'tea' })))
    await shop.quiet()
    const boxes = await shop.call(stock.boxes, {})
    assert.equal(boxes.length, 40)
    assert.equal(new Set(boxes).size, 40)
    await shop.assertConserved()
  })

  it('come and go in the midst of work', async () => {
    for (let seed = 0; seed < 5; seed++) {
      await using shop = await world(createShop(), { ...short, seed })
      for (const [step, count] of [1, 3, 2, 4, 1].entries()) {
        const placing = Array.from({ length: 10 }, (_, index) =>
          shop.call(desk.place, { id: `o${step}/${index}`, sku: 'tea' }),
        )
        await Promise.all([...placing, shop.scale('stock', count)])
      }
      await shop.quiet()
      const boxes = await shop.call(stock.boxes, {})
      assert.deepEqual([boxes.length, new Set(boxes).size], [50, 50])
      assert.equal((await shop.call(mail.letters, {})).length, 50)
      await shop.assertConserved()
    }
  })

  it('are none when it is scaled to none', async () => {
    await using shop = await world(createShop())
    await shop.scale('stock', 0)
    await assert.rejects(shop.call(stock.boxes, {}), { code: 'UNAVAILABLE' })
    await shop.scale('stock', 1)
    assert.deepEqual(await shop.call(stock.boxes, {}), [])
  })

  it('are as many after a restart as before', async () => {
    await using shop = await world(createShop(), short)
    await shop.scale('stock', 2)
    await shop.restart('stock')
    shop.pause('stock')
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.quiet()
  })

  it('take over from one that is paused, whose late commit is refused', async () => {
    for (let seed = 0; seed < 10; seed++) {
      await using shop = await world(createShop(), { seed, runtime: { leaseMs: 3_000, lookMs: 1_000, partitions: 1 } })
      await shop.scale('stock', 2)
      await shop.clock.advance('10s')
      // The handler is on its way to its transaction when its instance falls asleep.
      shop.inject('stock', 'handle', { delayMs: 1_000 })
      await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
      await shop.clock.advance('500ms')
      const resume = shop.pause('stock')
      await shop.clock.advance('30s')
      const [event] = await shop.events(placed)
      const asleep = await shop.flow(event!.id)
      resume()
      await shop.quiet()
      await shop.clock.advance('10s')
      const [effect] = (await shop.flow(event!.id)).effects
      assert.deepEqual(
        [asleep.effects[0]?.outcome, effect?.outcome, effect?.tries],
        ['handled', 'handled', 2],
        'both tried',
      )
      assert.deepEqual(await shop.call(stock.boxes, {}), ['o1'], `seed ${seed}`)
      assert.deepEqual(await shop.call(mail.letters, {}), ['nobody: lamp'])
      await shop.assertConserved()
    }
  })

  it('read what another of them has written in time, without being tuned for it', async () => {
    await using shop = await world(createShop())
    await shop.scale('mail', 2)
    await shop.scale('stock', 2)
    for (let index = 0; index < 10; index++) {
      await shop.call(desk.place, { id: `o${index}`, sku: 'tea' })
      assert.equal((await shop.call(stock.boxes, {})).length, index + 1)
    }
  })

  it('answer for one another after a pause, a crash and a return', async () => {
    await using shop = await world(createShop(), short)
    await shop.scale('desk', 2)
    const resume = shop.pause('desk')
    const placing = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => shop.call(desk.place, { id: `o${index}`, sku: 'tea' })),
    )
    resume()
    await shop.quiet()
    const boxes = await shop.call(stock.boxes, {})
    for (const [index, { status }] of placing.entries())
      if (status === 'fulfilled') assert.ok(boxes.includes(`o${index}`))
    assert.ok(placing.some(({ status }) => status === 'fulfilled'))
    assert.equal(new Set(boxes).size, boxes.length)
    await shop.assertConserved()
  })

  it('that are none cannot be paused', async () => {
    await using shop = await world(createShop())
    shop.crash('stock')
    assert.throws(() => shop.pause('stock'), { code: 'UNAVAILABLE', message: /no instance of stock is up/ })
  })
})

describe('clocks that disagree', () => {
  for (const by of ['2h', '-2h'] as const) {
    it(`by ${by} leave every effect exactly once`, async () => {
      await using shop = await world(createShop(), short)
      await shop.scale('stock', 2)
      shop.skew('desk', by)
      await shop.scale('stock', 3)
      shop.skew('stock', by)
      await shop.scale('stock', 4) // whose clock is right
      for (let index = 0; index < 10; index++) {
        await shop.call(desk.place, { id: `o${index}`, sku: 'tea' })
        await shop.clock.advance('1m')
      }
      await shop.quiet()
      assert.equal((await shop.call(stock.boxes, {})).length, 10)
      assert.equal((await shop.call(mail.letters, {})).length, 10)
      await shop.assertConserved()
    })
  }

  it('are what the handlers of their service see', async () => {
    await using shop = await world(createShop())
    shop.skew('desk', '-1h')
    assert.equal((await shop.call(desk.now, {})).at, shop.clock.now() - 3_600_000)
    shop.skew('desk', '90m')
    assert.equal((await shop.call(desk.now, {})).at, shop.clock.now() + 1_800_000)
  })

  it('ring timers early, or a delay later and no more, and once', async () => {
    await using shop = await world(createShop())
    await shop.call(desk.remind, { id: 'soon', afterMs: 3_600_000 })
    shop.skew('desk', '1h')
    await shop.clock.advance('2m')
    assert.equal((await shop.events(reminded)).length, 1)
    await shop.call(desk.remind, { id: 'late', afterMs: 60_000 })
    shop.skew('desk', '-1h')
    await shop.clock.advance('30s')
    assert.equal((await shop.events(reminded)).length, 1)
    await shop.clock.advance('2m')
    assert.deepEqual(
      (await shop.call(desk.reminders, {})).map(({ id }) => id),
      ['soon', 'late'],
    )
  })
})

describe('two instances of a service that hears itself', () => {
  it('answer causal queries, although each passes over events that are none of its concern', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      await using shop = await world(createShop(), { ...short, seed })
      await shop.scale('desk', 2)
      await shop.clock.advance('10s')
      await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
      await shop.clock.advance('1m')
      assert.equal((await shop.call(desk.get, { id: 'o1' })).sku, 'lamp', `seed ${seed}`)
    }
  })
})

describe('a lease that was noted by a clock far ahead', () => {
  it('holds nobody up for as long as that clock was', async () => {
    await using shop = await world(createShop(), short)
    shop.skew('stock', '1h')
    await shop.clock.advance('1m')
    shop.crash('stock')
    await shop.launch('stock', 'stock-elsewhere')
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.quiet({ within: '1m' })
    assert.deepEqual(await shop.call(mail.letters, {}), ['nobody: lamp'], 'its relay has a lease, too')
  })
})
