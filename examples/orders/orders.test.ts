import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { world } from '@atoll/testkit'
import { orderPlaced, orders, payments, stock } from './contracts.ts'
import system from './system.ts'

describe('an order', () => {
  it('is confirmed when its goods are reserved and it is paid', async () => {
    await using shop = await world(system)
    await shop.call(stock.deliver, { sku: 'lamp', count: 1 })
    const { orderId } = await shop.call(orders.place, { sku: 'lamp', cents: 4_900 })
    await shop.quiet()
    await shop.call(payments.pay, { orderId })
    await shop.quiet()
    assert.equal((await shop.call(orders.get, { orderId })).status, 'confirmed')

    await shop.clock.advance('1h')
    assert.equal((await shop.call(orders.get, { orderId })).status, 'confirmed', 'its timer was stopped')
  })

  it('that nobody pays for is cancelled after fifteen minutes, and its goods are put back', async () => {
    await using shop = await world(system)
    await shop.call(stock.deliver, { sku: 'lamp', count: 1 })
    const { orderId } = await shop.call(orders.place, { sku: 'lamp', cents: 4_900 })
    await shop.clock.advance('14m')
    assert.equal((await shop.call(orders.get, { orderId })).status, 'waiting')
    assert.equal((await shop.call(stock.left, { sku: 'lamp' })).count, 0)

    await shop.clock.advance('2m')
    assert.equal((await shop.call(orders.get, { orderId })).status, 'cancelled')
    assert.equal((await shop.call(stock.left, { sku: 'lamp' })).count, 1)
    await assert.rejects(shop.call(payments.pay, { orderId }), { code: 'CONFLICT' })
  })

  it('for goods that are gone is cancelled, and who has paid already gets the money back', async () => {
    await using shop = await world(system)
    shop.crash('stock')
    const { orderId } = await shop.call(orders.place, { sku: 'lamp', cents: 4_900 })
    await shop.quiet()
    await shop.call(payments.pay, { orderId })
    assert.equal((await shop.call(payments.balance, {})).cents, 4_900)

    await shop.restart('stock')
    await shop.quiet()
    assert.equal((await shop.call(orders.get, { orderId })).status, 'cancelled')
    assert.equal((await shop.call(payments.balance, {})).cents, 0)
  })

  it('tells what it led to', async () => {
    await using shop = await world(system)
    await shop.call(stock.deliver, { sku: 'lamp', count: 1 })
    const { orderId } = await shop.call(orders.place, { sku: 'lamp', cents: 4_900 })
    await shop.quiet()
    const [placed] = await shop.events(orderPlaced, { key: orderId })
    const flow = await shop.flow(placed!.id)
    assert.equal(
      flow.toString().replaceAll(orderId, 'ORDER'),
      `order.placed ORDER (orders)
├─ stock: handled
│  └─ stock.reserved ORDER (stock)
│     └─ orders: handled
└─ payments: handled`,
    )
  })

  it('is whole again after any service crashed at the worst moment', async () => {
    for (const service of ['orders', 'stock', 'payments'] as const) {
      for (const crash of ['before', 'during', 'after'] as const) {
        await using shop = await world(system)
        await shop.call(stock.deliver, { sku: 'lamp', count: 1 })
        shop.inject(service, 'commit', { crash }, 2)
        // not known, if orders is gone
        const placed = await shop.call(orders.place, { sku: 'lamp', cents: 4_900 }).catch(() => undefined)
        await shop.clock.advance('1m')
        await shop.restart(service)
        await shop.quiet()
        if (placed) {
          await shop.call(payments.pay, placed)
          await shop.quiet()
          assert.equal(
            (await shop.call(orders.get, placed)).status,
            'confirmed',
            `${service} crashed ${crash} a commit`,
          )
        }
        await shop.assertConserved()
      }
    }
  })
})
