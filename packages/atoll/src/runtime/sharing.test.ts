import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import type { StoreDriver, Transaction } from '@atoll/store/driver'
import { type Position } from '../runtime.ts'
import { audit, book, createShop } from '../../test/shop.ts'
import { call, changedTransaction, changedWrites, inWorld } from '../../test/world.ts'

describe('instances of a service', () => {
  it('share its partitions, and take over those of one that is gone', () =>
    inWorld(async (world) => {
      const options = { leaseMs: 3_000 }
      const a = await world.start(createShop(), { ...options, instance: 'a' })
      const b = await world.start(createShop(), { ...options, instance: 'b' })
      await world.host.advance(10_000)
      const owned = (running: typeof a): number => [...running.services.values()].length && partitionsOf(running)
      assert.deepEqual([owned(a), owned(b)], [8, 8])
      await b.stop()
      await world.host.advance(10_000)
      assert.equal(owned(a), 16)
      for (let cents = 0; cents < 40; cents++) await call(a, book.note, { account: `a${cents}`, cents })
      await a.quiet()
      assert.ok((await a.admin.ledger()).every((row) => row.balanced && row.handled === 40))
    }))

  it('answer causal reads of what another instance reads, and of what another has written', () =>
    inWorld(async (world) => {
      const options = { leaseMs: 3_000, causalWaitMs: 2_000 }
      const a = await world.start(createShop(), { ...options, instance: 'a' })
      const b = await world.start(createShop(), { ...options, instance: 'b' })
      await world.host.advance(10_000)
      for (let index = 0; index < 20; index++) {
        const account = `account-${index}`
        const { position } = await a.dispatch('book.note', { input: { account, cents: index } })
        const reading = Promise.all([a, b].map((instance) => call(instance, audit.total, { account }, { position })))
        await world.host.advance(500)
        assert.deepEqual(await reading, [{ cents: [index] }, { cents: [index] }])
      }
    }))

  it('keep their leases while they hand a partition over, however long its handler takes', () =>
    inWorld(async (world) => {
      let release = (): void => {}
      const gate = new Promise<void>((resolve) => (release = resolve))
      const slow = createShop(() => gate)
      const options = { leaseMs: 3_000, handlingMs: 1_000_000 }
      const a = await world.start(slow, { ...options, instance: 'a' })
      for (let index = 0; index < 64; index++) await call(a, book.note, { account: `a${index}`, cents: index })
      await world.host.advance(100)
      const b = await world.start(slow, { ...options, instance: 'b' })
      await world.host.advance(30_000) // ten times what a lease holds
      assert.deepEqual([partitionsOf(a), partitionsOf(b)], [16, 0])
      release()
      await world.host.advance(10_000)
      assert.deepEqual([partitionsOf(a), partitionsOf(b)], [8, 8])
      assert.ok((await a.admin.ledger()).every((row) => row.balanced && row.handled === 64))
    }))

  it('go on with a partition that they could not hand over, when there is nobody to take it any more', () =>
    inWorld(async (world) => {
      let isAway = false
      const stores = changedWrites(world.stores, (store, work) =>
        store.write((tx) => {
          const run: Transaction['run'] = (statement, params) =>
            isAway && statement.sql.startsWith('UPDATE atoll_cursors SET number')
              ? Promise.reject(new AtollError('UNAVAILABLE', 'the store is away'))
              : tx.run(statement, params)
          return work(changedTransaction(tx, { run }))
        }),
      )
      const options = { leaseMs: 3_000 }
      const accounts = Array.from({ length: 64 }, (_, index) => `account ${index}`)
      const first = await world.start(createShop(), { ...options, instance: 'a' }, { stores })
      // which the auditor passes over, and notes when it hands over
      for (const account of accounts) await call(first, book.close, { account })
      await world.host.advance(100)
      const second = await world.start(createShop(), { ...options, instance: 'b' })
      isAway = true
      await world.host.advance(1_500) // the first one looks at its leases, and begins to hand over
      await second.stop()
      isAway = false
      await world.host.advance(30_000)
      for (const account of accounts) await call(first, book.note, { account, cents: 1 })
      await world.host.advance(10_000)
      for (const account of accounts) assert.deepEqual(await call(first, audit.total, { account }), { cents: [1] })
      assert.deepEqual(first.readiness(), { ready: true, reasons: [], brief: [], warnings: [] })
    }))

  it('cannot commit after a pause in which another took over: its effect is undone, and happens once', () =>
    inWorld(async (world) => {
      let release = (): void => {}
      const gate = new Promise<void>((resolve) => (release = resolve))
      const zombie = await world.start(
        createShop(({ cents }) => (cents === 1 ? gate : undefined)),
        { instance: 'a', leaseMs: 3_000, handlingMs: 1_000_000 },
      )
      await call(zombie, book.note, { account: 'a', cents: 1 })
      await world.host.advance(10)
      // The first instance sleeps: its timers do not fire, while its lease runs out.
      world.host.jump(60_000)
      const heir = await world.start(createShop(), { instance: 'b', leaseMs: 1_000_000 })
      await heir.quiet()
      release()
      await world.host.advance(10)
      const { cents } = await call(heir, audit.total, { account: 'a' })
      assert.deepEqual(cents, [1])
    }))
})

describe('two instances that emit', () => {
  it('number their events as one, whichever of them relays, and whichever goes', () =>
    inWorld(async (world) => {
      const first = await world.start(createShop(), { instance: 'a', leaseMs: 3_000 })
      const second = await world.start(createShop(), { instance: 'b', leaseMs: 3_000 })
      for (let cents = 0; cents < 10; cents++)
        await call(cents % 2 === 0 ? first : second, book.note, { account: 'a', cents })
      await world.host.advance(5_000)
      await first.stop()
      for (let cents = 10; cents < 20; cents++) await call(second, book.note, { account: 'a', cents })
      await world.host.advance(5_000)
      assert.deepEqual(
        (await call(second, audit.total, { account: 'a' })).cents,
        Array.from({ length: 20 }, (_, cents) => cents),
      )
      assert.ok((await second.admin.ledger()).every((row) => row.balanced && row.handled === row.published))
    }))

  it('have the events of one that dies relayed by the other once its lease has run out', () =>
    inWorld(async (world) => {
      let cut = false
      let mend = (): void => {}
      const mended = new Promise<void>((resolve) => (mend = resolve))
      const log: Log = { ...world.log, append: (...args) => (cut ? mended : world.log.append(...args)) }
      const dying = await world.start(createShop(), { instance: 'a', leaseMs: 3_000 }, { log })
      cut = true
      await call(dying, book.note, { account: 'a', cents: 1 })
      world.host.jump(60_000)
      const heir = await world.start(createShop(), { instance: 'b', leaseMs: 3_000 })
      await world.host.advance(5_000)
      await heir.quiet()
      assert.deepEqual(await call(heir, audit.total, { account: 'a' }), { cents: [1] })
      mend()
    }))
})

describe('a store that cannot write', () => {
  it('refuses commands, loses nothing that was acknowledged, and goes on when there is room', () =>
    inWorld(async (world) => {
      let full = false
      const stores = failing(world.stores, () => full, 'at the commit')
      const shop = await world.start(createShop(), {}, { stores })
      for (let cents = 0; cents < 10; cents++) await call(shop, book.note, { account: 'a', cents })
      full = true
      await assert.rejects(call(shop, book.note, { account: 'a', cents: 99 }), { code: 'STORE_FULL' })
      await world.host.advance(5_000)
      full = false
      await world.host.advance(120_000)
      await call(shop, book.note, { account: 'a', cents: 10 })
      await world.host.advance(120_000)
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), {
        cents: Array.from({ length: 11 }, (_, cents) => cents),
      })
      assert.ok((await shop.admin.ledger()).every((row) => row.balanced && row.handled === 11 && row.dead === 0))
      assert.deepEqual(shop.readiness(), { ready: true, reasons: [], brief: [], warnings: [] })
    }))
})

describe('a store whose commit fails when all is written', () => {
  it('loses no event, also if another one is handled meanwhile, and shows nobody what has not lasted', () =>
    inWorld(async (world) => {
      const second = Promise.withResolvers<void>()
      const seen = Promise.withResolvers<readonly number[]>()
      let position: Position = {}
      const stores = beforeCommits(world.stores, 'audit', () => {
        second.resolve() // its transaction comes to the store while this commit is under way, and is the next
        void call(shop, audit.total, { account: 'first' }, { position }).then(
          ({ cents }) => seen.resolve(cents),
          seen.reject,
        )
        throw new AtollError('STORE_FULL', 'there is no room')
      })
      const shop = await world.start(
        createShop(({ account }) => (account === 'second' ? second.promise : undefined)),
        { partitions: 1 },
        { stores },
      )
      await shop.services.get('audit')!.stop()
      position = (await shop.dispatch('book.note', { input: { account: 'first', cents: 1 } })).position
      await call(shop, book.note, { account: 'second', cents: 2 })
      await shop.services.get('audit')!.start()
      await world.host.advance(120_000)
      assert.deepEqual(await seen.promise, [1])
      for (const [account, cents] of [
        ['first', 1],
        ['second', 2],
      ] as const)
        assert.deepEqual(await call(shop, audit.total, { account }), { cents: [cents] })
      assert.deepEqual(
        (await shop.admin.ledger()).filter((row) => !row.balanced || row.handled !== 2),
        [],
      )
    }))
})

describe('a store whose commits last, and say that they failed', () => {
  it('makes no event count twice', () =>
    inWorld(async (world) => {
      let unsure = false
      const stores = changedWrites(world.stores, async (store, work) => {
        const result = await store.write(work)
        if (unsure) throw new AtollError('STORE_FULL', 'there may have been room')
        return result
      })
      const shop = await world.start(createShop(), {}, { stores })
      for (let cents = 0; cents < 10; cents++) {
        await call(shop, book.note, { account: 'a', cents })
        unsure = true
        await world.host.advance(200) // the relay tidies up meanwhile
        unsure = false
      }
      await world.host.advance(120_000)
      const cents = Array.from({ length: 10 }, (_, index) => index)
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), { cents })
      assert.deepEqual(
        (await shop.admin.ledger()).filter((row) => !row.balanced || row.handled !== 10 || row.published !== 10),
        [],
      )
    }))
})

describe('a store that refuses to begin', () => {
  it('makes no dead letter of events that it never came to', () =>
    inWorld(async (world) => {
      let refusing = false
      const shop = await world.start(
        createShop(),
        { attemptsMax: 1 },
        { stores: failing(world.stores, () => refusing, 'at the beginning') },
      )
      await shop.services.get('audit')!.stop()
      for (let cents = 0; cents < 10; cents++) await call(shop, book.note, { account: 'a', cents })
      refusing = true
      await shop.services.get('audit')!.start()
      await world.host.advance(5_000)
      assert.ok(!shop.readiness().ready)
      refusing = false
      await world.host.advance(120_000)
      assert.deepEqual(await shop.admin.deadLetters(), [])
      assert.equal((await call(shop, audit.total, { account: 'a' })).cents.length, 10)
      assert.equal((await call(shop, audit.sums, { account: 'a' })).cents, 45)
    }))
})

function partitionsOf(running: { services: ReadonlyMap<string, unknown> }): number {
  const service = running.services.get('audit') as {
    subscriptions: ReadonlyMap<string, { partitions: ReadonlyMap<number, unknown> }>
  }
  return service.subscriptions.get('audit')!.partitions.size
}

/**
 * A driver one of whose stores calls `trouble`, once, when everything is written that moves a cursor, and nothing has
 * committed.
 */
function beforeCommits(driver: StoreDriver, name: string, trouble: () => void): StoreDriver {
  let isDone = false
  return changedWrites(driver, (store, work) => {
    if (store.name !== name) return store.write(work)
    return store.write((tx) => {
      const beforeCommit: Transaction['beforeCommit'] = (key, hook) =>
        tx.beforeCommit(key, async (queries) => {
          await hook(queries)
          if (isDone) return
          isDone = true
          trouble()
        })
      return work(changedTransaction(tx, { beforeCommit }))
    })
  })
}

/** A driver whose stores do not write while `full` says so. */
function failing(driver: StoreDriver, full: () => boolean, when: 'at the beginning' | 'at the commit'): StoreDriver {
  return changedWrites(driver, async (store, work) => {
    if (full() && when === 'at the beginning') throw new AtollError('UNAVAILABLE', 'the store cannot begin')
    return store.write(async (tx) => {
      const result = await work(tx)
      if (full()) throw new AtollError('STORE_FULL', 'there is no room')
      return result
    })
  })
}
