import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import { createShop, desk, placed, stock } from '../../test/shop.ts'
import type { Phase } from './passage.ts'
import { world } from './world.ts'

const full = new AtollError('STORE_FULL', 'there is no room')
const failing = (phase: Phase) => ({ fail: { phase, error: full } })

describe('a mishap', () => {
  it('fails a commit before it began, or undoes it, or lets it last', async () => {
    for (const [phase, kept] of [
      ['before', 0],
      ['during', 0],
      ['after', 1],
    ] as const) {
      await using shop = await world(createShop())
      shop.inject('desk', 'commit', failing(phase))
      await assert.rejects(shop.call(desk.place, { id: 'o1', sku: 'lamp' }), { code: 'STORE_FULL' })
      await shop.quiet()
      assert.equal((await shop.events(placed)).length, kept, phase)
    }
  })

  it('happens once, and then no more', async () => {
    await using shop = await world(createShop())
    shop.inject('desk', 'commit', failing('before'))
    await assert.rejects(shop.call(desk.place, { id: 'o1', sku: 'lamp' }), { code: 'STORE_FULL' })
    await shop.call(desk.place, { id: 'o2', sku: 'lamp' })
  })

  it('happens at the passage that the test counts to, from when it asked', async () => {
    const tries: string[] = []
    await using shop = await world(createShop({ packing: ({ key }) => tries.push(key) }), {
      runtime: { partitions: 1 },
    })
    for (const nth of [1, 2, 4]) shop.inject('stock', 'handle', failing('before'), nth)
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.quiet()
    await shop.call(desk.place, { id: 'o2', sku: 'lamp' })
    await shop.quiet()
    const flows = await Promise.all((await shop.events(placed)).map(({ id }) => shop.flow(id)))
    assert.deepEqual(
      flows.map(({ effects }) => effects.find(({ subscription }) => subscription === 'stock')?.tries),
      [3, 2],
    )
    assert.deepEqual(tries, ['o1', 'o2'], 'before the handler had begun')
  })

  it('delays: what is slow is slow, and no more', async () => {
    for (const point of ['commit', 'append', 'read', 'handle', 'call'] as const) {
      await using shop = await world(createShop())
      await shop.clock.advance('1m')
      const service = point === 'call' ? 'mail' : 'stock'
      shop.inject(service, point, { delayMs: 3_000 })
      const beganMs = shop.clock.elapsedMs
      await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
      await shop.quiet()
      const tookMs = shop.clock.elapsedMs - beganMs
      assert.ok(tookMs >= 3_000 && tookMs < 5_000, `${point} took ${tookMs} ms`)
      await shop.assertConserved()
    }
  })

  it('lets what was read be out of date when it comes', async () => {
    await using shop = await world(createShop())
    shop.inject('stock', 'load', { answerDelayMs: 3_000 })
    const boxes = shop.call(stock.boxes, {})
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.quiet()
    assert.deepEqual(await boxes, [])
    assert.deepEqual(await shop.call(stock.boxes, {}), ['o1'])
  })

  it('lets others see a commit before its own service hears of it, and tells it of no later one before', async () => {
    await using shop = await world(createShop())
    shop.inject('desk', 'commit', { answerDelayMs: 3_000 })
    const answered: string[] = []
    const placing = ['o1', 'o2'].map(async (id) => {
      await shop.call(desk.place, { id, sku: 'lamp' })
      answered.push(id)
      return shop.clock.elapsedMs
    })
    await shop.clock.advance('2s')
    assert.deepEqual(
      (await shop.db<{ orders: { id: string } }>('desk').selectFrom('orders').select('id').execute())
        .map(({ id }) => id)
        .sort(),
      ['o1', 'o2'],
    )
    assert.deepEqual(answered, [])
    for (const atMs of await Promise.all(placing)) assert.ok(atMs >= 3_000)
    assert.deepEqual(answered, ['o1', 'o2'])
  })

  it('makes an append arrive twice, the second time when nobody thinks of it any more', async () => {
    await using shop = await world(createShop())
    shop.inject('desk', 'append', { repeatMs: 5_000 })
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.quiet()
    shop.crash('desk')
    await shop.clock.advance('10s')
    await shop.restart('desk')
    await shop.quiet()
    assert.equal((await shop.events(placed)).length, 1)
    assert.deepEqual(await shop.call(stock.boxes, {}), ['o1'])
    await shop.assertConserved()
  })

  it('tears an append: the first of it are there, and the rest come again', async () => {
    for (let seed = 0; seed < 10; seed++) {
      await using shop = await world(createShop(), { seed, runtime: { partitions: 1 } })
      shop.inject('desk', 'append', failing('during'))
      await Promise.all(
        Array.from({ length: 10 }, (_, index) => shop.call(desk.place, { id: `o${index}`, sku: 'tea' })),
      )
      await shop.quiet()
      assert.equal((await shop.events(placed)).length, 10)
      assert.equal((await shop.call(stock.boxes, {})).length, 10)
      await shop.assertConserved()
    }
  })

  it('of a call to another service reaches who called, and is tried again', async () => {
    await using shop = await world(createShop())
    shop.inject('mail', 'call', { fail: { phase: 'before', error: new AtollError('UNAVAILABLE', 'the line is cut') } })
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.quiet()
    const [event] = await shop.events(placed)
    assert.match(String(await shop.flow(event!.id)), /mail: handled, after 2 tries/)
  })

  it('meets that service alone for which it is meant', async () => {
    await using shop = await world(createShop())
    for (let nth = 1; nth <= 50; nth++) shop.inject('mail', 'commit', { delayMs: 60_000 }, nth)
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.clock.advance('1s')
    assert.deepEqual(await shop.call(stock.boxes, {}), ['o1'])
  })
})
