import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError, silentLogger } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import type { StoreDriver } from '@atoll/store/driver'
import { openSystem } from '../../runtime.ts'
import { runtimeMigrations } from '../schema.ts'
import { audit, book, createShop } from '../../../test/shop.ts'
import { call, changedReads, changedWrites, inWorld } from '../../../test/world.ts'

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
      assert.deepEqual(
        { ...last, subscription: undefined },
        { subscription: undefined, handled: 100, total: 100, held: 0, done: true },
      )
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
        for (const instance of [a, b, c])
          assert.equal((await call(instance, audit.sums, { account: 'a1' })).cents, 1717)
        await world.host.advance(500)
        const { value, done } = await step
        if (done) break
        last = value
      }
      assert.equal(last!.done, true)
      await world.host.advance(10_000)
      const { position } = await a.dispatch('book.note', { input: { account: 'a1', cents: 1 } })
      await world.host.advance(10_000)
      for (const instance of [a, b, c]) {
        const reading = call(instance, audit.sums, { account: 'a1' }, { position })
        await world.host.advance(1_000)
        assert.equal((await reading).cents, 1718)
        assert.deepEqual(instance.readiness().reasons, [])
        assert.ok((await instance.admin.ledger()).every((row) => row.balanced && row.handled === 101))
      }
      assert.deepEqual(
        [await world.stores.exists('audit.sums.1'), await world.stores.exists('audit.sums.2')],
        [false, true],
      )
      await a.stop()
      await world.host.advance(10_000)
      await call(b, book.note, { account: 'a1', cents: 1 })
      await world.host.advance(10_000)
      assert.equal((await call(c, audit.sums, { account: 'a1' })).cents, 1719)
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
      const again = assert.rejects(Array.fromAsync(b.admin.replay('audit.sums')), {
        code: 'UNAVAILABLE',
        message: /the log is away/,
      })
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
      await assert.rejects(Array.fromAsync(shop.admin.replay('audit.sums')), {
        code: 'UNAVAILABLE',
        message: /audit\.sums is being rebuilt already/,
      })
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
      await begun.write((tx) =>
        tx.run({ sql: 'INSERT INTO atoll_instances (subscription, instance, expires_at) VALUES (?, ?, ?)' }, [
          'audit.sums',
          'gone',
          world.host.now() + 3_600_000,
        ]),
      )
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
      assert.deepEqual(
        [...shop.services.values()].map(({ state }) => state),
        ['stopped', 'stopped'],
      )
    }))

  it('takes no place any more once its service has begun to stop', () =>
    inWorld(async (world) => {
      let gate: Promise<void> | undefined
      const open = Promise.withResolvers<void>()
      const stores = changedWrites(
        world.stores,
        async (store, work) => (store.name === 'book' && (await gate), store.write(work)),
      )
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
      const rest = assert.rejects(Array.fromAsync({ [Symbol.asyncIterator]: () => rebuild }), {
        code: 'UNAVAILABLE',
        message: /its service stops.*not touched/,
      })
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
        const log: Log = {
          ...world.log,
          watch: (source, listener) => (fail('begin to read'), world.log.watch(source, listener)),
        }
        const stores: StoreDriver = {
          ...world.stores,
          openReader: (names) => (fail('open it for operations'), world.stores.openReader(names)),
        }
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
      assert.equal(
        world.logged.some(({ message }) => message.startsWith('another instance has rebuilt')),
        false,
      )
    }))

  it('that is being rebuilt is not touched by those who only look', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      for (let cents = 1; cents <= 100; cents++) await call(shop, book.note, { account: 'a', cents })
      await shop.quiet()
      const rebuild = shop.admin.replay('audit.sums')[Symbol.asyncIterator]()
      const step = rebuild.next()
      await world.host.advance(1)
      const open = await openSystem(createShop(), {
        host: world.host,
        log: world.log,
        stores: world.stores,
        logger: silentLogger,
      })
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
      const after = await world.start(
        createShop(() => {}, 'a7'),
        { attemptsMax: 2, retryDelayMs: 10 },
      )
      const rebuilding = assert.rejects(Array.fromAsync(after.admin.replay('audit.sums')), {
        code: 'REPLAY_FAILED',
        message: /cannot handle 1 events .* key a7: this account cannot be summed/,
      })
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
      assert.deepEqual((await rebuilding).at(-1), {
        subscription: 'audit.sums',
        handled: 3,
        total: 3,
        held: 1,
        done: true,
      })
      assert.equal((await shop.admin.deadLetters()).length, 1)
    }))

  it('is live once it was swapped in, although what comes after that fails, or nobody hears that it worked', async () => {
    for (const trouble of ['behind the swap', 'in its answer']) {
      await inWorld(async (world) => {
        let isSwapped = false
        const stores = changedWrites(
          changedReads(world.stores, async () => {
            if (!isSwapped || trouble === 'in its answer') return
            isSwapped = false
            throw new AtollError('UNAVAILABLE', 'the network blinked')
          }),
          (store, work) =>
            store.write(work).then(async (result) => {
              if (
                isSwapped ||
                store.name !== 'audit' ||
                (await store.reader.all({ sql: 'SELECT * FROM atoll_projections' })).length === 0
              )
                return result
              isSwapped = true
              if (trouble === 'in its answer') throw new AtollError('UNAVAILABLE', 'the network blinked')
              return result
            }),
        )
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
      await assert.rejects(
        async () => {
          await Array.fromAsync(shop.admin.replay('audit.nothing'))
        },
        { code: 'COMMAND_USAGE', message: /the projections are audit\.sums/ },
      )
    }))
})
