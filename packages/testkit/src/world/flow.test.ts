import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createShop, desk, placed, reminded } from '../../test/shop.ts'
import { world, type World } from './world.ts'

async function flowOf(shop: World, key = 'o1') {
  const [event] = await shop.events(placed, { key })
  return shop.flow(event!.id)
}

function failingOnce(): () => void {
  let tries = 0
  return () => {
    if (++tries === 1) throw new Error('no ink')
  }
}

describe('a flow', () => {
  it('is the tree of what an event led to, through every service', async () => {
    await using shop = await world(createShop())
    for (const id of ['o1', 'o2']) await shop.call(desk.place, { id, sku: 'lamp' })
    await shop.quiet()
    const flow = await flowOf(shop)
    assert.equal(
      String(flow),
      `order.placed o1 (desk)
├─ stock: handled
│  └─ order.packed o1 (stock)
│     └─ mail: handled
└─ mail.counts: handled`,
    )
    assert.deepEqual(
      [flow.type, flow.key, flow.source, flow.data],
      ['order.placed', 'o1', 'desk', { id: 'o1', sku: 'lamp' }],
    )
    assert.deepEqual(
      flow.effects[0]?.led[0]?.effects.map(({ subscription, outcome, tries }) => [subscription, outcome, tries]),
      [['mail', 'handled', 1]],
    )
  })

  it('shows what failed, how often and why', async () => {
    let tries = 0
    await using shop = await world(
      createShop({
        packing: () => {
          if (++tries < 3) throw new Error('no tape')
        },
        counting: () => Promise.reject(new Error('no ink')),
      }),
    )
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.quiet()
    assert.match(
      String(await flowOf(shop)),
      /├─ stock: handled, after 3 tries\n[^]*└─ mail.counts: failed, after \d+ tries, no ink$/,
    )
  })

  it('shows what failed after its commit, and forgets what a later try has mended', async () => {
    await using shop = await world(
      createShop({
        packed: () => {
          throw new Error('no bell')
        },
        counting: failingOnce(),
      }),
    )
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.quiet()
    assert.match(
      String(await flowOf(shop)),
      /├─ stock: handled, failed after its commit: no bell\n[^]*└─ mail.counts: handled, after \d+ tries$/,
    )
  })

  it('shows what waits for a service that is down', async () => {
    await using shop = await world(createShop())
    shop.crash('mail')
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.quiet()
    assert.equal(
      String(await flowOf(shop)),
      `order.placed o1 (desk)
├─ stock: handled
│  └─ order.packed o1 (stock)
│     └─ mail: waiting
└─ mail.counts: waiting`,
    )
  })

  it('knows what has committed, also if its instance did not live to see it', async () => {
    for (let nth = 1; nth <= 4; nth++) {
      await using shop = await world(createShop())
      await shop.clock.advance('1m')
      shop.inject('stock', 'commit', { crash: 'after' }, nth)
      await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
      await shop.clock.advance('10s')
      await shop.restart('stock')
      await shop.quiet()
      assert.deepEqual(
        (await flowOf(shop)).effects.map(({ subscription, outcome }) => [subscription, outcome]),
        [
          ['stock', 'handled'],
          ['mail.counts', 'handled'],
        ],
        `commit ${nth}`,
      )
    }
  })

  it('begins at a timer as well', async () => {
    await using shop = await world(createShop())
    await shop.call(desk.remind, { id: 'o1', afterMs: 1_000 })
    await shop.clock.advance('1m')
    const [due] = (await shop.events()).filter(({ type }) => type === 'reminder.due')
    assert.equal(
      String(await shop.flow(due!.id)),
      'reminder.due o1 (desk)\n└─ desk: handled\n   └─ order.reminded o1 (desk)',
    )
    assert.equal((await shop.events(reminded)).length, 1)
  })

  it('of an event that is not in the log is not there', async () => {
    await using shop = await world(createShop())
    await assert.rejects(shop.flow('none'), { code: 'NOT_FOUND', message: /world\.events\(\) lists what is/ })
  })
})
