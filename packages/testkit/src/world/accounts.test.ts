import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { System } from 'atoll'
import { createShop, desk, packed, placed, stock } from '../../test/shop.ts'
import { world } from './world.ts'

describe('the ledger of a world', () => {
  it('accounts for every event in every subscription', async () => {
    await using shop = await world(createShop())
    for (const id of ['o1', 'o2']) await shop.call(desk.place, { id, sku: 'tea' })
    await shop.quiet()
    const rows = (await shop.ledger()).map(({ event, subscription, published, handled, balanced }) => [
      event,
      subscription,
      published,
      handled,
      balanced,
    ])
    assert.deepEqual(rows.sort(), [
      ['order.packed', 'mail', 2, 2, true],
      ['order.placed', 'mail.counts', 2, 2, true],
      ['order.placed', 'stock', 2, 2, true],
      ['reminder.due', 'desk', 0, 0, true],
    ])
    await shop.assertConserved()
  })

  it('is refused when a service hides an event from its reader', async () => {
    await using shop = await world(createShop())
    await shop.call(desk.place, { id: 'o1', sku: 'tea' })
    await shop.quiet()
    await shop.deploy(tampered('stock', "UPDATE atoll_handled SET count = 0 WHERE subscription = 'stock'"))
    await assert.rejects(shop.assertConserved(), {
      code: 'LEDGER_UNBALANCED',
      message: /order\.placed in stock: published 1, handled 0, pending 0, parked 0, dead 0/,
    })
    const why = (await shop.ledger()).find(({ balanced }) => !balanced)!.why!
    assert.match(
      why,
      /^LEDGER_UNBALANCED: 1 that desk published are missing: neither handled nor held by stock, .*; if nothing was, this is a defect$/,
    )
  })

  it('is refused when an event counts twice, with the seed to find it by', async () => {
    await using shop = await world(createShop(), { seed: 'twice' })
    await shop.call(desk.place, { id: 'o1', sku: 'tea' })
    await shop.quiet()
    await shop.deploy(tampered('mail', 'UPDATE atoll_handled SET count = count + 1'))
    await assert.rejects(shop.assertConserved(), {
      code: 'LEDGER_UNBALANCED',
      message: /\(seed twice\).*order\.packed in mail: published 1, handled 2/,
    })
  })
})

describe('dead letters', () => {
  it('are listed with what failed and what waits, tried dry, and redriven in order', async () => {
    let mended = false
    await using shop = await world(
      createShop({
        packing: ({ key }) => {
          if (key === 'bad' && !mended) throw new Error('no tape')
        },
      }),
    )
    await shop.call(desk.place, { id: 'bad', sku: 'lamp' })
    await shop.quiet()
    await shop.call(desk.place, { id: 'bad', sku: 'shade' })
    await shop.call(desk.place, { id: 'good', sku: 'tea' })
    await shop.quiet()
    const [letter, ...others] = await shop.deadLetters()
    assert.deepEqual(others, [])
    assert.deepEqual(
      [letter?.subscription, letter?.event.key, letter?.attempts, letter?.error.message, letter?.parkedBehind],
      ['stock', 'bad', 8, 'no tape', 1],
    )
    assert.deepEqual(
      (await shop.redrive({ dryRun: true })).map(({ outcome }) => outcome),
      ['failed', 'failed'],
      'each by itself',
    )

    mended = true
    const outcomes = await shop.redrive()
    assert.deepEqual(
      outcomes.map(({ was, outcome }) => [was, outcome]),
      [
        ['dead', 'handled'],
        ['parked', 'handled'],
      ],
    )
    await shop.quiet()
    assert.deepEqual(await shop.call(stock.boxes, {}), ['good', 'bad', 'bad'])
    assert.deepEqual(await shop.deadLetters(), [])
    await shop.assertConserved()
  })

  it('are redriven one by one, or of one subscription, whichever instances read them', async () => {
    let mended = false
    await using shop = await world(
      createShop({
        packing: () => {
          if (!mended) throw new Error('no tape')
        },
        counting: () => {
          if (!mended) throw new Error('no ink')
        },
      }),
      { runtime: { leaseMs: 3_000, attemptsMax: 2 } },
    )
    await shop.scale('stock', 2)
    await shop.clock.advance('10s')
    for (let index = 0; index < 8; index++) await shop.call(desk.place, { id: `o${index}`, sku: 'tea' })
    await shop.quiet()
    mended = true
    const [first] = await shop.deadLetters()
    assert.deepEqual(
      (await shop.redrive({ id: first!.id })).map(({ outcome }) => outcome),
      ['handled'],
    )
    assert.equal((await shop.redrive({ subscription: 'stock' })).length, 7)
    assert.equal((await shop.redrive({ subscription: 'mail.counts' })).length, 8)
    assert.deepEqual(await shop.redrive(), [])
    await shop.quiet()
    assert.equal((await shop.call(stock.boxes, {})).length, 8)
    await shop.assertConserved()
  })

  it('are discarded by the instance that reads them, or all of one subscription, and are accounted for', async () => {
    await using shop = await world(
      createShop({
        packing: () => Promise.reject(new Error('no tape')),
        counting: () => Promise.reject(new Error('no ink')),
      }),
      { runtime: { leaseMs: 3_000, attemptsMax: 2 } },
    )
    await shop.scale('stock', 2)
    await shop.clock.advance('10s')
    for (let index = 0; index < 8; index++) await shop.call(desk.place, { id: `o${index}`, sku: 'tea' })
    await shop.quiet()
    const [first] = (await shop.deadLetters()).filter(({ subscription }) => subscription === 'stock')
    assert.deepEqual(
      (await shop.discard({ id: first!.id, reason: 'sold' })).map(({ id, by }) => [id, by]),
      [[first!.id, 'a test']],
    )
    await assert.rejects(shop.discard({ id: first!.id, reason: 'sold' }), {
      code: 'COMMAND_USAGE',
      message: /discarded already/,
    })
    assert.equal((await shop.discard({ subscription: 'stock', reason: 'sold' })).length, 7)
    await shop.quiet()
    assert.deepEqual([...new Set((await shop.deadLetters()).map(({ subscription }) => subscription))], ['mail.counts'])
    assert.equal((await shop.discarded()).length, 8)
    await shop.assertConserved()
  })

  it('that are not there, or of a service that is down, are not redriven in silence', async () => {
    await using shop = await world(createShop({ packing: () => Promise.reject(new Error('no tape')) }))
    await assert.rejects(shop.redrive({ id: 'none' }), {
      code: 'COMMAND_USAGE',
      message: /there is no dead letter none/,
    })
    await assert.rejects(shop.redrive({ subscription: 'none' }), { code: 'COMMAND_USAGE' })
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.quiet()
    await shop.stop('stock')
    await assert.rejects(shop.redrive(), { code: 'UNAVAILABLE', message: /no instance of stock is up/ })
  })
})

describe('events', () => {
  it('are those in the log, or those of one definition, or of one key', async () => {
    await using shop = await world(createShop())
    for (const id of ['o1', 'o2']) await shop.call(desk.place, { id, sku: 'tea' })
    await shop.quiet()
    const types = (records: readonly { type: string; key: string }[]): string[] =>
      records.map(({ type, key }) => `${type} ${key}`).sort()
    assert.deepEqual(types(await shop.events()), [
      'order.packed o1',
      'order.packed o2',
      'order.placed o1',
      'order.placed o2',
    ])
    assert.deepEqual(types(await shop.events(packed)), ['order.packed o1', 'order.packed o2'])
    assert.deepEqual(types(await shop.events(placed, { key: 'o2' })), ['order.placed o2'])
  })
})

describe('what was logged', () => {
  it('is there to be asked', async () => {
    await using shop = await world(createShop({ packing: () => Promise.reject(new Error('no tape')) }))
    await shop.call(desk.place, { id: 'o1', sku: 'lamp' })
    await shop.quiet()
    assert.ok(
      shop.logged.some(
        ({ level, message, fields }) =>
          level === 'warn' &&
          message === 'order.placed failed in stock; it will be tried again' &&
          fields['key'] === 'o1',
      ),
    )
  })
})

/** The shop, with one service that changes its own books at its next start. */
function tampered(name: string, sql: string): System {
  const shop = createShop()
  const services = shop.services.map((service) =>
    service.name === name
      ? {
          ...service,
          store: { ...service.store!, migrations: { ...service.store!.migrations, 'atoll-tampered': sql } },
        }
      : service,
  )
  return { ...shop, services }
}
