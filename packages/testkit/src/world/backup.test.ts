import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createShop, desk, mail, placed, stock } from '../../test/shop.ts'
import { world, type World } from './world.ts'

/** Orders, one after the other, and all that comes of them. */
async function order(shop: World, ...ids: string[]): Promise<void> {
  for (const id of ids) await shop.call(desk.place, { id, sku: 'lamp' })
  await shop.quiet()
}

/** What lies in each part of the shop, looked at from beside. */
async function contents(shop: World): Promise<Record<string, number>> {
  const count = async (service: string, table: string): Promise<number> =>
    (await shop.db<Record<string, { id: string }>>(service).selectFrom(table).selectAll().execute()).length
  const [counted] = await shop
    .db<{ counts: { count: number } }>('mail.counts.1')
    .selectFrom('counts')
    .selectAll()
    .execute()
  return {
    orders: await count('desk', 'orders'),
    boxes: await count('stock', 'boxes'),
    letters: await count('mail', 'letters'),
    counted: counted?.count ?? 0,
    events: (await shop.events(placed)).length,
  }
}

const one = { orders: 1, boxes: 1, letters: 1, counted: 1, events: 1 }
const three = { orders: 3, boxes: 3, letters: 3, counted: 3, events: 3 }

describe('a backup', () => {
  it('of everything brings a system back to the moment in which it was taken, and it goes on from there', async () => {
    await using shop = await world(createShop())
    await order(shop, 'o1')
    const sunday = await shop.backup()
    assert.deepEqual(sunday.parts, ['desk', 'stock', 'mail', 'log'])
    await order(shop, 'o2', 'o3')
    assert.deepEqual(await contents(shop), three)
    shop.powerLoss()
    await shop.restore(sunday)
    assert.deepEqual(await contents(shop), one)
    await shop.start()
    await shop.call(desk.place, { id: 'o4', sku: 'lamp' }, { as: 'ada' })
    await shop.quiet()
    assert.deepEqual(await shop.call(stock.boxes, {}, { as: 'ada' }), ['o1', 'o4'])
    await shop.assertConserved()
  })

  it('puts back the parts that are named, and leaves the others as they are', async () => {
    const parts: readonly (readonly [part: string, back: Partial<typeof one>])[] = [
      ['desk', { orders: 1 }],
      ['stock', { boxes: 1 }],
      ['mail', { letters: 1, counted: 1 }],
      ['mail.counts', { counted: 1 }],
      ['log', { events: 1 }],
    ]
    for (const [part, back] of parts) {
      for (const how of ['all was kept', 'it was kept alone'] as const) {
        await using shop = await world(createShop())
        await order(shop, 'o1')
        const sunday = await (how === 'all was kept' ? shop.backup() : shop.backup(part))
        await order(shop, 'o2', 'o3')
        shop.powerLoss()
        await shop.restore(sunday, part)
        assert.deepEqual(await contents(shop), { ...three, ...back }, `${part}, ${how}`)
      }
    }
  })

  it('can be put back as often as one likes, beside others of other moments', async () => {
    await using shop = await world(createShop())
    await order(shop, 'o1')
    const sunday = await shop.backup()
    await order(shop, 'o2', 'o3')
    const monday = await shop.backup()
    for (let round = 0; round < 2; round++) {
      await order(shop, 'o4')
      shop.powerLoss()
      await shop.restore(monday)
      await shop.restore(sunday, 'stock')
      assert.deepEqual(await contents(shop), { ...three, boxes: 1 })
      await shop.restore(monday, 'stock')
      await shop.start()
    }
    assert.deepEqual(await contents(shop), three)
  })

  it('of a reader’s store lets it read again what it has lost', async () => {
    await using shop = await world(createShop())
    await order(shop, 'o1')
    const sunday = await shop.backup('mail')
    await order(shop, 'o2', 'o3')
    await shop.stop('mail')
    await shop.restore(sunday)
    await shop.start()
    await shop.quiet()
    assert.equal((await shop.call(mail.letters, {})).length, 3)
    assert.deepEqual(await shop.call(mail.counts, {}), { lamp: 3 })
    await shop.assertConserved()
  })

  it('is taken while work is under way, and has each effect whole or not at all', async () => {
    for (let seed = 0; seed < 10; seed++) {
      await using shop = await world(createShop(), { seed })
      const placing = Array.from({ length: 5 }, (_, index) => shop.call(desk.place, { id: `o${index}`, sku: 'lamp' }))
      const backup = await shop.backup()
      await Promise.all(placing)
      await shop.quiet()
      shop.powerLoss()
      await shop.restore(backup)
      await shop.start()
      await shop.quiet()
      const { orders, boxes, letters, counted, events } = await contents(shop)
      assert.deepEqual([boxes, letters, counted, events], [orders, orders, orders, orders], `seed ${seed}`)
      await shop.assertConserved()
    }
  })

  it('does not take from callers what they have seen', async () => {
    await using shop = await world(createShop())
    const empty = await shop.backup()
    const { headers } = await shop.request('POST', '/orders', { as: 'ada', body: { id: 'o1', sku: 'lamp' } })
    const seen = headers['atoll-position']
    await shop.quiet()
    for (const service of ['desk', 'stock', 'mail']) await shop.stop(service)
    await shop.restore(empty)
    await shop.start()
    assert.match(String(seen), /^desk\.\d+\.1$/)
    assert.deepEqual(await contents(shop), { orders: 0, boxes: 0, letters: 0, counted: 0, events: 0 })
  })
})

describe('a part that is lost', () => {
  it('is empty when its service comes back', async () => {
    await using shop = await world(createShop())
    await order(shop, 'o1', 'o2', 'o3')
    await shop.stop('mail')
    await shop.lose('mail')
    await shop.start()
    await shop.quiet()
    assert.equal((await shop.call(mail.letters, {})).length, 3, 'it has read everything anew')
  })

  it('may be the log', async () => {
    await using shop = await world(createShop())
    await order(shop, 'o1')
    shop.powerLoss()
    await shop.lose('log')
    assert.deepEqual(await shop.events(), [])
  })
})

describe('a restore', () => {
  it('is refused while somebody has open what it would replace, by name', async () => {
    await using shop = await world(createShop())
    const backup = await shop.backup()
    for (const part of ['stock', 'log', 'mail.counts']) {
      const refusal = { code: 'DATA_IN_USE', message: new RegExp(`${part} cannot be replaced: \\w+-1 has it open`) }
      await assert.rejects(shop.restore(backup, part), refusal)
      await assert.rejects(shop.lose(part), refusal)
    }
    await shop.stop('stock')
    await shop.restore(backup, 'stock')
    await assert.rejects(shop.restore(backup, 'stock', 'mail'), { code: 'DATA_IN_USE' })
  })

  it('of what is not there says what there is', async () => {
    await using shop = await world(createShop())
    await assert.rejects(shop.backup('shipping'), {
      code: 'DEFINITION_INVALID',
      message: /no service shipping; it has desk, stock, mail/,
    })
    await assert.rejects(shop.restore(await shop.backup('desk', 'log'), 'mail'), {
      code: 'COMMAND_USAGE',
      message: /the backup has no mail; it has desk, log/,
    })
  })

  it('happens in every run of a seed alike', async () => {
    const run = async (): Promise<string> => {
      await using shop = await world(createShop(), { seed: 'again' })
      const empty = await shop.backup()
      await order(shop, 'o1', 'o2')
      shop.powerLoss()
      await shop.restore(empty, 'mail')
      await shop.start()
      await order(shop, 'o3')
      return shop.trace.hash
    }
    assert.equal(await run(), await run())
  })
})
