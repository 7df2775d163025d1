import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createShop, desk, mail, placed, stock } from '../../test/shop.ts'
import { world, type World } from './world.ts'

// Stores and a log of different moments: what a backup brings back in part, and what a wrong folder or address does.

async function order(shop: World, ...ids: string[]): Promise<void> {
  for (const id of ids) await shop.call(desk.place, { id, sku: 'lamp' })
  await shop.quiet()
}

/** All keys in one partition, so that what is lost of one and new of another has the same number. */
const options = { runtime: { partitions: 1 } }

/** A copy of the desk with one order, and one with two, as the desk and the log have them then. */
async function twoCopies(shop: World) {
  await order(shop, 'o1')
  const sunday = await shop.backup('desk')
  await order(shop, 'o2')
  return { sunday, monday: await shop.backup('desk') }
}

/** What keeps it from being ready, without what only says that it is. */
const reasons = (shop: World): string => shop.readiness().reasons.join('\n')

/** Runs until everybody has looked at the log once more. */
const look = (shop: World): Promise<void> => shop.clock.advance('5s')

describe('a store that is older than the log', () => {
  for (const how of ['restored', 'gone'] as const) {
    it(`(${how}) is found at every start, and nothing more is made of it`, async () => {
      await using shop = await world(createShop(), options)
      const { sunday, monday } = await twoCopies(shop)
      shop.powerLoss()
      if (how === 'restored') await shop.restore(sunday)
      else await shop.lose('desk')
      for (let start = 0; start < 2; start++) {
        await shop.start()
        await look(shop)
        assert.equal(shop.readiness().ready, false)
        assert.match(
          reasons(shop),
          /the relay of desk is halted: STORE_OUTDATED: the log has event .* as number 2 in partition 0/,
        )
        assert.deepEqual(
          (await shop.ledger())
            .filter(({ event, subscription }) => event === placed.name && subscription === 'stock')
            .map(({ balanced }) => balanced),
          [false],
        )
        shop.powerLoss()
      }
      assert.equal((await shop.events(placed)).length, 2)
      await shop.restore(monday)
      await shop.start()
      await order(shop, 'o3')
      assert.deepEqual(await shop.call(stock.boxes, {}), ['o1', 'o2', 'o3'])
      assert.deepEqual(reasons(shop), '')
      await shop.assertConserved()
    })
  }

  it('refuses commands, which would be lost with it, and answers queries', async () => {
    await using shop = await world(createShop(), options)
    const { sunday, monday } = await twoCopies(shop)
    shop.powerLoss()
    await shop.restore(sunday)
    await shop.start()
    const refused = await shop.request('POST', '/orders', { body: { id: 'o3', sku: 'lamp' } })
    assert.deepEqual([refused.status, (refused.body as { code: string }).code], [503, 'STORE_OUTDATED'])
    await assert.rejects(
      shop.call(desk.place, { id: 'o4', sku: 'lamp' }),
      /desk\.place was refused: the store of desk is older than the log/,
    )
    assert.equal((await shop.request('GET', '/orders/o1')).status, 200)
    shop.powerLoss()
    await shop.restore(monday)
    await shop.start()
    await order(shop, 'o5')
    assert.deepEqual(await shop.call(stock.boxes, {}), ['o1', 'o2', 'o5'])
  })

  it('takes commands where a setting says so, and hands on what they emitted once the log is of its moment', async () => {
    await using shop = await world(createShop(), { runtime: { ...options.runtime, commandsWhenOutdated: 'take' } })
    await order(shop, 'o1')
    const sunday = await shop.backup()
    await order(shop, 'o2')
    shop.powerLoss()
    await shop.restore(sunday, 'desk')
    await shop.start()
    await shop.call(desk.place, { id: 'o3', sku: 'lamp' }, { as: 'ann' }) // who has seen nothing of what is gone
    assert.match(reasons(shop), /the relay of desk is halted: STORE_OUTDATED/)
    shop.powerLoss()
    await shop.restore(sunday, 'stock', 'mail', 'log')
    await shop.start()
    await shop.quiet()
    assert.deepEqual(await shop.call(stock.boxes, {}), ['o1', 'o3'])
    await shop.assertConserved()
  })

  it('handles nothing, so that its handlers do not emit once more what the log has already', async () => {
    await using shop = await world(createShop(), options)
    const empty = await shop.backup('stock')
    await order(shop, 'o1', 'o2')
    await shop.stop('stock')
    await shop.restore(empty)
    await shop.start()
    await look(shop)
    assert.match(reasons(shop), /the relay of stock is halted: STORE_OUTDATED/)
    assert.deepEqual(await shop.db<{ boxes: { id: string } }>('stock').selectFrom('boxes').select('id').execute(), [])
    assert.equal((await shop.call(mail.letters, {})).length, 2)
  })

  it('stands for every instance of its service', async () => {
    await using shop = await world(createShop(), options)
    await shop.scale('stock', 3)
    const empty = await shop.backup('stock')
    await order(shop, 'o1', 'o2')
    shop.powerLoss()
    await shop.restore(empty)
    await shop.start()
    await look(shop)
    assert.deepEqual(await shop.db<{ boxes: { id: string } }>('stock').selectFrom('boxes').select('id').execute(), [])
  })
})

describe('a source and log that are older than a subscriber', () => {
  it('make it stand at every start, also when the log has grown past where it stood, and skip nothing', async () => {
    await using shop = await world(createShop(), options)
    await order(shop, 'o1')
    const sunday = await shop.backup('desk', 'stock', 'log')
    await order(shop, 'o2', 'o3')
    shop.powerLoss()
    await shop.restore(sunday, 'desk', 'log')
    await shop.restore(sunday, 'stock')
    // The mail has sent three letters, of which two are about orders that nobody knows any more.
    await shop.start()
    await look(shop)
    assert.match(reasons(shop), /mail is halted: LOG_GAP: the log .* ends at number 1 in partition 0 of stock/)
    for (const id of ['o4', 'o5', 'o6']) await shop.call(desk.place, { id, sku: 'lamp' })
    await look(shop)
    for (let start = 0; start < 2; start++) {
      shop.powerLoss()
      await shop.start()
      await look(shop)
      assert.equal(shop.readiness().ready, false)
      assert.match(
        reasons(shop),
        /mail is halted: LOG_DIVERGED: mail has handled event .* as number 3 in partition 0 of stock, and the log has event/,
      )
      assert.match(reasons(shop), /mail\.counts is halted: LOG_DIVERGED/)
      const balanced = (await shop.ledger())
        .filter(({ subscription }) => subscription.startsWith('mail'))
        .map((row) => row.balanced)
      assert.deepEqual(balanced, [false, false])
    }
    assert.equal(
      (await shop.db<{ letters: { text: string } }>('mail').selectFrom('letters').select('text').execute()).length,
      3,
    )
  })

  it('let it go on once its store is of the same moment', async () => {
    await using shop = await world(createShop(), options)
    await order(shop, 'o1')
    const sunday = await shop.backup()
    await order(shop, 'o2', 'o3')
    shop.powerLoss()
    await shop.restore(sunday, 'desk', 'stock', 'log')
    await shop.start()
    await look(shop)
    assert.match(reasons(shop), /mail is halted/)
    await shop.stop('mail')
    await shop.restore(sunday, 'mail')
    await shop.start()
    await order(shop, 'o4', 'o5')
    assert.equal((await shop.call(mail.letters, {})).length, 3)
    assert.deepEqual(reasons(shop), '')
    await shop.assertConserved()
  })
})
