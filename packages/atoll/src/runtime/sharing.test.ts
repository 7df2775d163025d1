import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Log } from '@atoll/log/driver'
import type { StoreDriver, Transaction } from '@atoll/store/driver'
import { AtollError, silentLogger } from '@atoll/host'
import { openSystem, type Position } from '../runtime.ts'
import { runtimeMigrations } from './schema.ts'
import { audit, book, createShop } from '../../test/shop.ts'
import { call, changedReads, changedWrites, inWorld } from '../../test/world.ts'

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
            isAway && statement.sql.startsWith('UPDATE atoll_cursors SET number') ? Promise.reject(new AtollError('UNAVAILABLE', 'the store is away')) : tx.run(statement, params)
          return work(changed(tx, { run }))
        }),
      )
      const options = { leaseMs: 3_000 }
      const accounts = Array.from({ length: 64 }, (_, index) => `account ${index}`)
      const first = await world.start(createShop(), { ...options, instance: 'a' }, { stores })
      for (const account of accounts) await call(first, book.close, { account }) // which the auditor passes over, and notes when it hands over
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
      const zombie = await world.start(createShop(({ cents }) => (cents === 1 ? gate : undefined)), { instance: 'a', leaseMs: 3_000, handlingMs: 1_000_000 })
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
      for (let cents = 0; cents < 10; cents++) await call(cents % 2 === 0 ? first : second, book.note, { account: 'a', cents })
      await world.host.advance(5_000)
      await first.stop()
      for (let cents = 10; cents < 20; cents++) await call(second, book.note, { account: 'a', cents })
      await world.host.advance(5_000)
      assert.deepEqual((await call(second, audit.total, { account: 'a' })).cents, Array.from({ length: 20 }, (_, cents) => cents))
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
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), { cents: Array.from({ length: 11 }, (_, cents) => cents) })
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
        void call(shop, audit.total, { account: 'first' }, { position }).then(({ cents }) => seen.resolve(cents), seen.reject)
        throw new AtollError('STORE_FULL', 'there is no room')
      })
      const shop = await world.start(createShop(({ account }) => (account === 'second' ? second.promise : undefined)), { partitions: 1 }, { stores })
      await shop.services.get('audit')!.stop()
      position = (await shop.dispatch('book.note', { input: { account: 'first', cents: 1 } })).position
      await call(shop, book.note, { account: 'second', cents: 2 })
      await shop.services.get('audit')!.start()
      await world.host.advance(120_000)
      assert.deepEqual(await seen.promise, [1])
      for (const [account, cents] of [['first', 1], ['second', 2]] as const) assert.deepEqual(await call(shop, audit.total, { account }), { cents: [cents] })
      assert.deepEqual((await shop.admin.ledger()).filter((row) => !row.balanced || row.handled !== 2), [])
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
      assert.deepEqual((await shop.admin.ledger()).filter((row) => !row.balanced || row.handled !== 10 || row.published !== 10), [])
    }))
})

describe('a store that refuses to begin', () => {
  it('makes no dead letter of events that it never came to', () =>
    inWorld(async (world) => {
      let refusing = false
      const shop = await world.start(createShop(), { attemptsMax: 1 }, { stores: failing(world.stores, () => refusing, 'at the beginning') })
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

describe('a projection', () => {
  it('is rebuilt beside the live one, which goes on serving, and is swapped in', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      for (let cents = 1; cents <= 100; cents++) await call(shop, book.note, { account: `a${cents % 3}`, cents })
      await shop.quiet()
      const rebuild = shop.admin.replay('audit.sums')[Symbol.asyncIterator]()
      let last: { done: boolean; handled: number; total: number } | undefined
      for (;;) {
        const step = rebuild.next()
        assert.equal((await call(shop, audit.sums, { account: 'a1' })).cents, 1717)
        await world.host.advance(100)
        const { value, done } = await step
        if (done) break
        last = value
      }
      assert.deepEqual({ ...last, subscription: undefined }, { subscription: undefined, handled: 100, total: 100, held: 0, done: true })
      assert.equal((await call(shop, audit.sums, { account: 'a1' })).cents, 1717)
      const { position } = await shop.dispatch('book.note', { input: { account: 'a1', cents: 1 } })
      assert.equal((await call(shop, audit.sums, { account: 'a1' }, { position })).cents, 1718)
      assert.ok((await shop.admin.ledger()).every((row) => row.balanced))
    }))

  it('that one instance rebuilds is taken up by the others, and by those that start meanwhile', () =>
    inWorld(async (world) => {
      const options = { leaseMs: 3_000 }
      const a = await world.start(createShop(), { ...options, instance: 'a' })
      const b = await world.start(createShop(), { ...options, instance: 'b' })
      for (let cents = 1; cents <= 100; cents++) await call(a, book.note, { account: `a${cents % 3}`, cents })
      await world.host.advance(10_000)
      const rebuild = a.admin.replay('audit.sums')[Symbol.asyncIterator]()
      let last: { done: boolean } | undefined
      let c: typeof a | undefined
      for (;;) {
        const step = rebuild.next()
        await world.host.advance(50)
        c ??= await world.start(createShop(), { ...options, instance: 'c' })
        for (const instance of [a, b, c]) assert.equal((await call(instance, audit.sums, { account: 'a1' })).cents, 1717)
        await world.host.advance(500)
        const { value, done } = await step
        if (done) break
        last = value
      }
      assert.equal(last!.done, true)
      await world.host.advance(10_000)
      const { position } = await a.dispatch('book.note', { input: { account: 'a1', cents: 1 } })
      await world.host.advance(10_000)
      for (const instance of [a, b, c!]) {
        const reading = call(instance, audit.sums, { account: 'a1' }, { position })
        await world.host.advance(1_000)
        assert.equal((await reading).cents, 1718)
        assert.deepEqual(instance.readiness().reasons, [])
        assert.ok((await instance.admin.ledger()).every((row) => row.balanced && row.handled === 101))
      }
      assert.deepEqual([await world.stores.exists('audit.sums.1'), await world.stores.exists('audit.sums.2')], [false, true])
      await a.stop()
      await world.host.advance(10_000)
      await call(b, book.note, { account: 'a1', cents: 1 })
      await world.host.advance(10_000)
      assert.equal((await call(c!, audit.sums, { account: 'a1' })).cents, 1719)
    }))

  it('that an instance has rebuilt is not taken for an unfinished one by another, which has not begun to handle, and is asked to rebuild it again', () =>
    inWorld(async (world) => {
      const options = { leaseMs: 3_000 }
      const a = await world.start(createShop(), { ...options, instance: 'a' })
      for (let cents = 1; cents <= 100; cents++) await call(a, book.note, { account: 'a1', cents })
      await world.host.advance(10_000)
      const away = { ...world.log, tail: () => Promise.reject(new AtollError('UNAVAILABLE', 'the log is away')) }
      const b = await world.start(createShop(), { ...options, instance: 'b' }, { log: away })
      const rebuild = Array.fromAsync(a.admin.replay('audit.sums'))
      await world.host.advance(30_000)
      await rebuild
      await a.stop()
      const again = assert.rejects(Array.fromAsync(b.admin.replay('audit.sums')), { code: 'UNAVAILABLE', message: /the log is away/ })
      await world.host.advance(1_000)
      await again
      assert.equal((await call(b, audit.sums, { account: 'a1' })).cents, 5050)
      assert.equal(await world.stores.exists('audit.sums.2'), true)
    }))

  it('is rebuilt once at a time in one process: a second rebuild would delete the store of the first', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      await call(shop, book.note, { account: 'ann', cents: 1 })
      await shop.quiet()
      const first = Array.fromAsync(shop.admin.replay('audit.sums'))
      await assert.rejects(Array.fromAsync(shop.admin.replay('audit.sums')), { code: 'UNAVAILABLE', message: /audit\.sums is being rebuilt already/ })
      await world.host.advance(1_000)
      assert.equal((await first).at(-1)!.done, true)
      const again = Array.fromAsync(shop.admin.replay('audit.sums'))
      await world.host.advance(1_000)
      assert.equal((await again).at(-1)!.done, true)
      assert.deepEqual(await call(shop, audit.sums, { account: 'ann' }), { cents: 1 })
      assert.ok((await shop.admin.ledger()).every(({ balanced }) => balanced))
    }))

  it('can be rebuilt although an instance that is gone began to, by a clock that was ahead', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop(), { leaseMs: 3_000 })
      await call(shop, book.note, { account: 'ann', cents: 1 })
      await shop.quiet()
      const begun = await world.stores.open('audit.sums.2', runtimeMigrations)
      await begun.write((tx) => tx.run({ sql: 'INSERT INTO atoll_instances (subscription, instance, expires_at) VALUES (?, ?, ?)' }, ['audit.sums', 'gone', world.host.now() + 3_600_000]))
      const replaying = Array.fromAsync(shop.admin.replay('audit.sums'))
      await world.host.advance(1_000)
      assert.equal((await replaying).at(-1)!.done, true)
      assert.deepEqual(await call(shop, audit.sums, { account: 'ann' }), { cents: 1 })
    }))

  it('keeps nothing from stopping, if nobody can say meanwhile which generation is live', () =>
    inWorld(async (world) => {
      const asked = Promise.withResolvers<void>()
      const away = Promise.withResolvers<void>()
      let isLate = false
      const stores = changedReads(world.stores, async (statement) => {
        if (!isLate || !statement.sql.startsWith('SELECT generation')) return
        asked.resolve()
        await away.promise
      })
      const shop = await world.start(createShop(), {}, { stores })
      isLate = true
      await world.host.advance(10_000)
      await asked.promise
      const stopping = shop.stop()
      await world.host.advance(100)
      away.reject(new AtollError('UNAVAILABLE', 'the store is away'))
      await world.host.advance(10_000)
      await stopping
      assert.deepEqual([...shop.services.values()].map(({ state }) => state), ['stopped', 'stopped'])
    }))

  it('takes no place any more once its service has begun to stop', () =>
    inWorld(async (world) => {
      let gate: Promise<void> | undefined
      const open = Promise.withResolvers<void>()
      const stores = changedWrites(world.stores, async (store, work) => (store.name === 'book' && (await gate), store.write(work)))
      const shop = await world.start(createShop(), {}, { stores })
      for (let cents = 1; cents <= 100; cents++) await call(shop, book.note, { account: 'a', cents })
      await shop.quiet()
      const rebuild = shop.admin.replay('audit.sums')[Symbol.asyncIterator]()
      const step = rebuild.next()
      await world.host.advance(100)
      await step
      gate = open.promise
      const noting = call(shop, book.note, { account: 'a', cents: 1 })
      const stopping = shop.stop({ drainMs: 8_000 }) // which waits for the note
      const rest = assert.rejects(Array.fromAsync({ [Symbol.asyncIterator]: () => rebuild }), { code: 'UNAVAILABLE', message: /its service stops.*not touched/ })
      await world.host.advance(2_000)
      await rest
      open.resolve()
      await world.host.advance(10_000)
      await Promise.all([noting, stopping])
      assert.equal(await world.stores.exists('audit.sums.2'), false)
    }))

  it('is rebuilt no further when its service stops, although nobody asks any more how far that has come', () =>
    inWorld(async (world) => {
      let watching = 0
      const log: Log = {
        ...world.log,
        watch(source, listener) {
          watching++
          const unwatch = world.log.watch(source, listener)
          return () => (watching--, unwatch())
        },
      }
      const shop = await world.start(createShop(), {}, { log })
      for (let cents = 1; cents <= 100; cents++) await call(shop, book.note, { account: 'a', cents })
      await shop.quiet()
      const left = shop.admin.replay('audit.sums')[Symbol.asyncIterator]()
      await world.host.advance(0)
      await left.next()
      assert.equal(watching, 3)
      const auditor = shop.services.get('audit')!
      const stopping = auditor.stop()
      await world.host.advance(10_000)
      await stopping
      assert.equal(watching, 0)
      assert.equal(await world.stores.exists('audit.sums.2'), false)
      await auditor.start()
      const again = Array.fromAsync(shop.admin.replay('audit.sums'))
      const late = assert.rejects(left.next(), { code: 'UNAVAILABLE', message: /not touched/ })
      await world.host.advance(10_000)
      assert.equal((await again).at(-1)!.done, true)
      await late
    }))

  for (const trouble of ['begin to read', 'open it for operations']) {
    it(`that another instance has rebuilt is taken up at a later look, by one that could not ${trouble} at first`, () =>
      inWorld(async (world) => {
        const options = { leaseMs: 3_000 }
        let failures = 0
        const fail = (where: string): void => {
          if (failures === 0 || where !== trouble) return
          failures--
          throw new AtollError('UNAVAILABLE', 'the network blinked')
        }
        const log: Log = { ...world.log, watch: (source, listener) => (fail('begin to read'), world.log.watch(source, listener)) }
        const stores: StoreDriver = { ...world.stores, openReader: (names) => (fail('open it for operations'), world.stores.openReader(names)) }
        const a = await world.start(createShop(), { ...options, instance: 'a' })
        const b = await world.start(createShop(), { ...options, instance: 'b' }, { log, stores })
        await call(a, book.note, { account: 'a1', cents: 5 })
        await world.host.advance(10_000)
        failures = 1
        const rebuilding = Array.fromAsync(a.admin.replay('audit.sums'))
        await world.host.advance(30_000)
        await rebuilding
        await a.stop()
        await world.host.advance(30_000)
        assert.equal(failures, 0)
        const { position } = await b.dispatch('book.note', { input: { account: 'a1', cents: 1 } })
        const reading = call(b, audit.sums, { account: 'a1' }, { position })
        await world.host.advance(10_000)
        assert.equal((await reading).cents, 6)
        const next = Array.fromAsync(b.admin.replay('audit.sums'))
        await world.host.advance(10_000)
        assert.equal((await next).at(-1)!.done, true)
        assert.equal(await world.stores.exists('audit.sums.3'), true)
      }))
  }

  it('that another instance has rebuilt is not taken up, if its service stops while that begins', () =>
    inWorld(async (world) => {
      const options = { leaseMs: 3_000 }
      const reached = Promise.withResolvers<void>()
      const answer = Promise.withResolvers<void>()
      let isLate = false
      const tail: Log['tail'] = async (source, partition) => {
        if (isLate) {
          reached.resolve()
          await answer.promise
        }
        return world.log.tail(source, partition)
      }
      const a = await world.start(createShop(), { ...options, instance: 'a' })
      const b = await world.start(createShop(), { ...options, instance: 'b' }, { log: { ...world.log, tail } })
      await call(a, book.note, { account: 'a1', cents: 5 })
      await world.host.advance(10_000)
      const rebuilding = Array.fromAsync(a.admin.replay('audit.sums'))
      await world.host.advance(200)
      isLate = true
      await world.host.advance(5_000)
      await reached.promise
      const stopping = b.stop()
      await world.host.advance(100)
      answer.resolve()
      await world.host.advance(30_000)
      await stopping
      await rebuilding
      assert.equal(world.logged.some(({ message }) => message.startsWith('another instance has rebuilt')), false)
    }))

  it('that is being rebuilt is not touched by those who only look', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      for (let cents = 1; cents <= 100; cents++) await call(shop, book.note, { account: 'a', cents })
      await shop.quiet()
      const rebuild = shop.admin.replay('audit.sums')[Symbol.asyncIterator]()
      const step = rebuild.next()
      await world.host.advance(1)
      const open = await openSystem(createShop(), { host: world.host, log: world.log, stores: world.stores, logger: silentLogger })
      assert.ok(await world.stores.exists('audit.sums.2'))
      await open.close()
      await world.host.advance(1_000)
      await step
      const rest = Array.fromAsync({ [Symbol.asyncIterator]: () => rebuild })
      await world.host.advance(5_000)
      await rest
      assert.equal((await call(shop, audit.sums, { account: 'a' })).cents, 5050)
    }))

  it('is not replaced by one that cannot handle what it could', () =>
    inWorld(async (world) => {
      const before = await world.start(createShop())
      for (let cents = 1; cents <= 20; cents++) await call(before, book.note, { account: `a${cents}`, cents })
      await before.quiet()
      await before.stop()
      const after = await world.start(createShop(() => {}, 'a7'), { attemptsMax: 2, retryDelayMs: 10 })
      const rebuilding = assert.rejects(Array.fromAsync(after.admin.replay('audit.sums')), { code: 'REPLAY_FAILED', message: /cannot handle 1 events .* key a7: this account cannot be summed/ })
      await world.host.advance(5_000)
      await rebuilding
      assert.equal((await call(after, audit.sums, { account: 'a7' })).cents, 7)
    }))

  it('is replaced by one that lacks no more than it does', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop(), { attemptsMax: 1 })
      for (const account of ['a', 'unsummable', 'b']) await call(shop, book.note, { account, cents: 1 })
      await shop.quiet()
      const rebuilding = Array.fromAsync(shop.admin.replay('audit.sums'))
      await world.host.advance(1_000)
      assert.deepEqual((await rebuilding).at(-1), { subscription: 'audit.sums', handled: 3, total: 3, held: 1, done: true })
      assert.equal((await shop.admin.deadLetters()).length, 1)
    }))

  it('is live once it was swapped in, although what comes after that fails, or nobody hears that it worked', async () => {
    for (const trouble of ['behind the swap', 'in its answer']) {
      await inWorld(async (world) => {
        let isSwapped = false
        const stores = changedWrites(changedReads(world.stores, async () => {
          if (!isSwapped || trouble === 'in its answer') return
          isSwapped = false
          throw new AtollError('UNAVAILABLE', 'the network blinked')
        }), (store, work) => store.write(work).then(async (result) => {
          if (isSwapped || store.name !== 'audit' || (await store.reader.all({ sql: 'SELECT * FROM atoll_projections' })).length === 0) return result
          isSwapped = true
          if (trouble === 'in its answer') throw new AtollError('UNAVAILABLE', 'the network blinked')
          return result
        }))
        const shop = await world.start(createShop(), {}, { stores })
        await call(shop, book.note, { account: 'a', cents: 1 })
        await shop.quiet()
        const rebuilding = Array.fromAsync(shop.admin.replay('audit.sums')).catch(() => undefined)
        await world.host.advance(5_000)
        await rebuilding
        await call(shop, book.note, { account: 'a', cents: 2 })
        await world.host.advance(5_000)
        assert.deepEqual(await call(shop, audit.sums, { account: 'a' }), { cents: 3 }, trouble)
      })
    }
  })

  it('stays as it is when a rebuild fails', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      await assert.rejects(Array.fromAsync(shop.admin.replay('audit')), { code: 'UNSUPPORTED' })
      await assert.rejects(async () => { await Array.fromAsync(shop.admin.replay('audit.nothing')) }, { code: 'COMMAND_USAGE', message: /the projections are audit\.sums/ })
    }))
})

function partitionsOf(running: { services: ReadonlyMap<string, unknown> }): number {
  const service = running.services.get('audit') as { subscriptions: ReadonlyMap<string, { partitions: ReadonlyMap<number, unknown> }> }
  return service.subscriptions.get('audit')!.partitions.size
}

/** A driver one of whose stores calls `trouble`, once, when everything is written that moves a cursor, and nothing has committed. */
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
      return work(changed(tx, { beforeCommit }))
    })
  })
}

/** A transaction with other methods; the rest keep their `this`, and private fields are found. */
function changed(tx: Transaction, methods: Partial<Transaction>): Transaction {
  return new Proxy(tx, {
    get(target, member) {
      const value: unknown = Reflect.get(member in methods ? methods : target, member)
      return typeof value === 'function' ? value.bind(target) : value
    },
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
