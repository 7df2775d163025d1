import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { createShop, desk, mail, placed, stock } from '../../test/shop.ts'
import { world, type World } from './world.ts'
import type { Phase, Point } from './passage.ts'

const points: readonly Point[] = ['commit', 'append', 'read', 'handle', 'call']
const phases: readonly Phase[] = ['before', 'during', 'after']

describe('a service that crashes', () => {
  for (const service of ['desk', 'stock', 'mail']) {
    it(`has its effect exactly once, wherever and whenever ${service} is struck`, async () => {
      for (const point of points) {
        for (const crash of phases) {
          for (const nth of [1, 2, 3]) {
            await using shop = await world(createShop(), { seed: nth })
            shop.inject(service, point, { crash }, nth)
            await placeAndMend(shop, service)
            await assertOnce(shop, `${service} crashed ${crash} ${point} ${nth}`)
          }
        }
      }
    })

    it(`has its effect exactly once, wherever and whenever ${service} fails`, async () => {
      const error = new AtollError('UNAVAILABLE', 'a bad moment')
      for (const point of points) {
        for (const phase of phases) {
          await using shop = await world(createShop())
          shop.inject(service, point, { fail: { phase, error } }, 2)
          await placeAndMend(shop, service)
          await assertOnce(shop, `${service} failed ${phase} ${point}`)
        }
      }
    })
  }

  it('loses what had not committed, keeps what had, and tells which of the two is not known', async () => {
    for (const [crash, kept] of [
      ['before', 0],
      ['during', 0],
      ['after', 1],
    ] as const) {
      await using shop = await world(createShop())
      shop.inject('desk', 'commit', { crash })
      await assert.rejects(shop.call(desk.place, { id: 'o1', sku: 'lamp' }), {
        code: 'UNAVAILABLE',
        message: /not known/,
      })
      await shop.restart('desk')
      await shop.quiet()
      assert.equal((await shop.events(placed)).length, kept, crash)
      assert.equal((await shop.call(stock.boxes, {})).length, kept, crash)
    }
  })

  it('is down until it is restarted, and the others go on', async () => {
    await using shop = await world(createShop())
    shop.crash('stock')
    await shop.clock.advance('1h')
    await assert.rejects(shop.call(stock.boxes, {}), { code: 'UNAVAILABLE' })
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    assert.deepEqual(await shop.call(mail.counts, {}), { lamp: 1 })
    await shop.restart('stock')
    assert.deepEqual(await shop.call(stock.boxes, {}), ['o1'])
  })

  it('may crash twice, and may be crashed while it is down', async () => {
    await using shop = await world(createShop())
    shop.crash('stock')
    shop.crash('stock')
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.restart('stock')
    shop.crash('stock')
    await shop.restart('stock')
    await shop.quiet()
    await assertOnce(shop, 'twice')
  })

  it('and is not part of the system is named, with those that are', async () => {
    await using shop = await world(createShop())
    for (const act of [
      () => shop.crash('shipping'),
      () => shop.pause('shipping'),
      () => shop.inject('shipping', 'commit', {}),
      () => shop.skew('shipping', '1s'),
    ]) {
      assert.throws(act, { code: 'DEFINITION_INVALID', message: /no service shipping; it has desk, stock, mail/ })
    }
    for (const act of [shop.restart('shipping'), shop.stop('shipping'), shop.scale('shipping', 2)])
      await assert.rejects(act, { code: 'DEFINITION_INVALID' })
  })
})

describe('a power loss', () => {
  it('at any moment loses nothing that was acknowledged, and doubles nothing', async () => {
    for (let moment = 0; moment < 40; moment++) {
      await using shop = await world(createShop(), { seed: moment })
      const placing = Promise.allSettled([
        shop.call(desk.place, { id: 'o1', sku: 'lamp' }),
        shop.call(desk.place, { id: 'o2', sku: 'tea' }),
      ])
      let turns = 0
      shop.trace.onNote = () => {
        if (++turns === moment) shop.powerLoss()
      }
      const outcomes = await placing
      await shop.clock.advance('1s')
      shop.trace.onNote = undefined
      await shop.start()
      await shop.quiet()
      const boxes = await shop.call(stock.boxes, {})
      for (const [index, { status }] of outcomes.entries())
        if (status === 'fulfilled') assert.ok(boxes.includes(`o${index + 1}`), `moment ${moment}`)
      assert.equal(new Set(boxes).size, boxes.length, `moment ${moment}`)
      assert.equal((await shop.call(mail.letters, {})).length, boxes.length, `moment ${moment}`)
      await shop.assertConserved()
    }
  })

  it('takes the gateway, and what it remembered, along', async () => {
    await using shop = await world(createShop())
    await shop.request('POST', '/orders', { as: 'ada', body: { id: 'o1', sku: 'lamp' } })
    shop.powerLoss()
    assert.equal((await shop.request('GET', '/orders/o1')).status, 503)
    await shop.start()
    assert.equal((await shop.request('GET', '/orders/o1')).status, 200)
  })
})

/** Places an order, as often as it takes to have it placed once; and has whatever crashed start again. */
async function placeAndMend(shop: World, service: string): Promise<void> {
  await shop.call(desk.place, { id: 'o1', sku: 'lamp' }).catch(() => undefined)
  await shop.clock.advance('10s')
  await shop.restart(service)
  await shop.quiet()
  if ((await shop.events(placed)).length === 0) await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
  await shop.quiet()
  await shop.start() // what was struck no sooner than now
  await shop.quiet()
}

async function assertOnce(shop: World, when: string): Promise<void> {
  assert.equal((await shop.events(placed)).length, 1, when)
  assert.deepEqual(await shop.call(stock.boxes, {}), ['o1'], when)
  assert.deepEqual(await shop.call(mail.letters, {}), ['nobody: lamp'], when)
  assert.deepEqual(await shop.call(mail.counts, {}), { lamp: 1 }, when)
  await shop.assertConserved()
}
