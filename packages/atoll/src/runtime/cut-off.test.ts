import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import { createMemoryLog } from '@atoll/log/memory'
import { audit, book, createShop } from '../../test/shop.ts'
import { call, changedWrites, inWorld } from '../../test/world.ts'

const away = (): Promise<never> => Promise.reject(new AtollError('UNAVAILABLE', 'the network is gone'))

/** A log that can be reached unless `isCut`. */
function behindANetwork(log: Log, isCut: () => boolean): Log {
  return {
    ...log,
    append: (...args) => (isCut() ? away() : log.append(...args)),
    read: (...args) => (isCut() ? away() : log.read(...args)),
    tail: (...args) => (isCut() ? away() : log.tail(...args)),
  }
}

describe('an instance that relays although its lease has passed on', () => {
  it('gives no event a number that another one has, also where the log takes everything', () =>
    inWorld(async (world) => {
      const log = createMemoryLog({ checksAppends: false })
      let cut = false
      const stores = changedWrites(world.stores, (store, work) => (cut ? away() : store.write(work)))
      const options = { leaseMs: 3_000, partitions: 1, relayTidyMs: 10 }
      const zombie = await world.start(createShop(), { ...options, instance: 'a', lookMs: 50 }, { log, stores })
      await call(zombie, book.note, { account: 'a', cents: 0 })
      await zombie.quiet()
      cut = true // it can read, and does not hear that its lease has passed on
      world.host.jump(60_000)
      const heir = await world.start(createShop(), { ...options, instance: 'b' }, { log })
      for (let cents = 1; cents < 20; cents++) {
        await call(heir, book.note, { account: 'a', cents })
        await world.host.advance(20)
      }
      await world.host.advance(5_000)
      assert.deepEqual(
        (await call(heir, audit.total, { account: 'a' })).cents,
        Array.from({ length: 20 }, (_, cents) => cents),
      )
      const records = await log.read('book', 0, null, 100)
      assert.equal(
        new Map(records.map(({ id, number }) => [id, number])).size,
        new Set(records.map(({ id, number }) => `${id} ${number}`)).size,
      )
    }))
})

describe('an instance that was cut off', () => {
  it('is ready again once it has its engines back, though another relays by then', () =>
    inWorld(async (world) => {
      let cut = false
      const log: Log = { ...world.log, append: (...args) => (cut ? away() : world.log.append(...args)) }
      const stores = changedWrites(world.stores, (store, work) => (cut ? away() : store.write(work)))
      const first = await world.start(createShop(), { instance: 'a', leaseMs: 3_000 }, { log, stores })
      const calling = call(first, book.note, { account: 'a', cents: 1 })
      cut = true // its event is committed, and cannot be handed on
      await calling.catch(() => undefined)
      await world.host.advance(500)
      world.host.jump(10_000)
      const second = await world.start(createShop(), { instance: 'b', leaseMs: 3_000 })
      await world.host.advance(2_000)
      cut = false
      await world.host.advance(5_000)
      assert.deepEqual(first.readiness(), { ready: true, reasons: [], brief: [], warnings: [] })
      assert.equal(second.readiness().ready, true)
    }))
})

describe('an instance that cannot reach the log', () => {
  it('leaves its partitions and its outbox to one that can, and takes its share again when it is back', () =>
    inWorld(async (world) => {
      let cut = false
      const log = behindANetwork(world.log, () => cut)
      const options = { leaseMs: 3_000, lookMs: 500 }
      const first = await world.start(createShop(), { ...options, instance: 'a' }, { log })
      const second = await world.start(createShop(), { ...options, instance: 'b' })
      await world.host.advance(5_000)
      cut = true
      const accounts = Array.from({ length: 30 }, (_, index) => `account ${index}`)
      for (const account of accounts) await call(first, book.note, { account, cents: 1 })
      await world.host.advance(15_000)
      for (const account of accounts) assert.deepEqual(await call(second, audit.total, { account }), { cents: [1] })
      assert.equal(first.readiness().ready, false)
      cut = false
      await world.host.advance(15_000)
      assert.deepEqual(first.readiness(), { ready: true, reasons: [], brief: [], warnings: [] })
      for (const account of accounts) await call(second, book.note, { account, cents: 2 })
      await world.host.advance(5_000)
      for (const account of accounts) assert.deepEqual(await call(first, audit.total, { account }), { cents: [1, 2] })
      const owners = await (
        await world.stores.open('audit', {})
      ).reader.all<{ owner: string; count: number }>({
        sql: `SELECT owner, count(*) AS count FROM atoll_leases WHERE subscription = 'audit' GROUP BY owner ORDER BY owner`,
      })
      assert.deepEqual(
        owners.map((row) => ({ ...row })),
        [
          { owner: 'a', count: 8 },
          { owner: 'b', count: 8 },
        ],
      )
    }))

  it('hands everything on as soon as it can again, being the only one', () =>
    inWorld(async (world) => {
      let cut = false
      const log = behindANetwork(world.log, () => cut)
      const shop = await world.start(createShop(), { leaseMs: 3_000, lookMs: 500 }, { log })
      cut = true
      await call(shop, book.note, { account: 'a', cents: 1 })
      await world.host.advance(60_000)
      cut = false
      await world.host.advance(2_000)
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), { cents: [1] })
    }))
})
