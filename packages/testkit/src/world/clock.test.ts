import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createShop, desk, reminded } from '../../test/shop.ts'
import { world, type World } from './world.ts'

describe('the clock of a world', () => {
  it('begins with 2026, and moves by what it is told to', async () => {
    await using shop = await world(createShop())
    assert.equal(new Date(shop.clock.now()).toISOString().slice(0, 16), '2026-01-01T00:00')
    const beganMs = shop.clock.elapsedMs
    await shop.clock.advance('15m')
    assert.equal(shop.clock.elapsedMs - beganMs, 900_000)
    assert.equal((await shop.call(desk.now, {})).at, shop.clock.now())
  })

  it('does not go back', async () => {
    await using shop = await world(createShop())
    await assert.rejects(shop.clock.advance('-1s'), { name: 'RangeError' })
  })

  it('lets happen what is due, and all that comes of it, also on the dot', async () => {
    await using shop = await world(createShop())
    await shop.call(desk.remind, { id: 'o1', afterMs: 900_000 })
    await shop.clock.advance('14m')
    assert.deepEqual(await rung(shop), [])
    await shop.clock.advance('1m')
    assert.deepEqual(await rung(shop), ['o1'])
  })

  it('stands still while nobody waits', async () => {
    await using shop = await world(createShop())
    const beganMs = shop.clock.elapsedMs
    for (let wait = 0; wait < 100; wait++) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(shop.clock.elapsedMs, beganMs)
  })

  it('goes on for several who wait, each for its own time', async () => {
    await using shop = await world(createShop())
    const beganMs = shop.clock.elapsedMs
    const seen: number[] = []
    await Promise.all(
      [30, 10, 20].map(async (minutes) => {
        await shop.clock.advance(minutes * 60_000)
        seen.push((shop.clock.elapsedMs - beganMs) / 60_000)
      }),
    )
    assert.deepEqual(seen, [10, 20, 30])
  })
})

describe('timers', () => {
  it('ring in the order in which they are due, at their times', async () => {
    await using shop = await world(createShop())
    const setAt = shop.clock.now()
    for (const minutes of [30, 10, 20])
      await shop.call(desk.remind, { id: `after ${minutes}`, afterMs: minutes * 60_000 })
    await shop.clock.advance('1h')
    const reminders = await shop.call(desk.reminders, {})
    assert.deepEqual(
      reminders.map(({ id }) => id),
      ['after 10', 'after 20', 'after 30'],
    )
    for (const { id, at } of reminders) {
      const late = at - setAt - Number(id.slice(6)) * 60_000
      assert.ok(late >= 0 && late < 1_000, `${id} was ${late} ms late`)
    }
  })

  it('ring once, however long one waits', async () => {
    await using shop = await world(createShop())
    await shop.call(desk.remind, { id: 'o1', afterMs: 1_000 })
    await shop.clock.advance('2h')
    assert.deepEqual(await rung(shop), ['o1'])
  })

  it('of a service that is down ring when it is back', async () => {
    await using shop = await world(createShop())
    await shop.call(desk.remind, { id: 'o1', afterMs: 60_000 })
    shop.crash('desk')
    await shop.clock.advance('1h')
    await shop.restart('desk')
    await shop.quiet()
    assert.deepEqual(await rung(shop), ['o1'])
  })

  it('ring once whenever their service crashes: before, during or after any of its commits and appends', async () => {
    for (const point of ['commit', 'append', 'handle', 'read'] as const) {
      for (const crash of ['before', 'during', 'after'] as const) {
        for (let nth = 1; nth <= 4; nth++) {
          await using shop = await world(createShop(), { seed: nth })
          await shop.call(desk.remind, { id: 'o1', afterMs: 60_000 })
          await shop.clock.advance('59500ms')
          shop.inject('desk', point, { crash }, nth)
          await shop.clock.advance('10s')
          await shop.restart('desk')
          await shop.quiet()
          await shop.clock.advance('10m')
          assert.deepEqual(await rung(shop), ['o1'], `crashed ${crash} ${point} ${nth}`)
          await shop.assertConserved()
        }
      }
    }
  })

  it('ring once for all instances of their service', async () => {
    await using shop = await world(createShop())
    await shop.scale('desk', 3)
    await shop.call(desk.remind, { id: 'o1', afterMs: 60_000 })
    await shop.clock.advance('10m')
    assert.deepEqual(await rung(shop), ['o1'])
  })
})

/** What rang: as the desk has noted it, and as the log has it. */
async function rung(shop: World): Promise<string[]> {
  const noted = (await shop.call(desk.reminders, {})).map(({ id }) => id)
  assert.deepEqual(
    (await shop.events(reminded)).map(({ key }) => key),
    noted,
  )
  return noted
}
