import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError, silentLogger } from '@atoll/host'
import type { Log, LogRecord } from '@atoll/log/driver'
import { createMemoryLog } from '@atoll/log/memory'
import { audit, book, createShop } from '../../test/shop.ts'
import { call, changedReads, inWorld } from '../../test/world.ts'
import { openSystem } from '../runtime.ts'

describe('delivery', () => {
  it('brings a committed event to every subscription, once', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      await call(shop, book.note, { account: 'a', cents: 5 })
      await shop.quiet()
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), { cents: [5] })
      assert.deepEqual(await call(shop, audit.sums, { account: 'a' }), { cents: 5 })
    }))

  it('emits nothing and keeps nothing of a transaction that fails', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      await assert.rejects(call(shop, book.note, { account: 'refused', cents: 5 }), { code: 'INTERNAL' })
      await shop.quiet()
      assert.deepEqual(await call(shop, audit.total, { account: 'refused' }), { cents: [] })
      assert.deepEqual(await call(shop, book.note, { account: 'other', cents: 5 }), { account: 'other', count: 1 })
    }))

  it('keeps the order of each key', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      const accounts = ['a', 'b', 'c', 'd', 'e']
      await Promise.all(
        Array.from({ length: 200 }, (_, cents) => call(shop, book.note, { account: accounts[cents % 5]!, cents })),
      )
      await shop.quiet()
      for (const [index, account] of accounts.entries()) {
        const { cents } = await call(shop, audit.total, { account })
        assert.deepEqual(
          cents,
          Array.from({ length: 40 }, (_, step) => step * 5 + index),
        )
      }
    }))

  it('keeps the order of a key whose first event is slow', () =>
    inWorld(async (world) => {
      let release = (): void => {}
      const gate = new Promise<void>((resolve) => (release = resolve))
      const shop = await world.start(
        createShop(async ({ account, cents }) => {
          if (account === 'slow' && cents === 1) await gate
        }),
      )
      for (const cents of [1, 2, 3]) await call(shop, book.note, { account: 'slow', cents })
      const { position } = await shop.dispatch('book.note', { input: { account: 'fast', cents: 9 } })
      assert.deepEqual(
        await call(shop, audit.total, { account: 'fast' }, { position }),
        { cents: [9] },
        'other keys go on',
      )
      assert.deepEqual(await call(shop, audit.total, { account: 'slow' }), { cents: [] })
      release()
      await shop.quiet()
      assert.deepEqual(await call(shop, audit.total, { account: 'slow' }), { cents: [1, 2, 3] })
    }))

  it('brings a service that was down everything it missed', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      await call(shop, book.note, { account: 'a', cents: 0 })
      await shop.quiet()
      await shop.services.get('audit')!.stop()
      for (let cents = 1; cents <= 500; cents++) await call(shop, book.note, { account: `a${cents % 7}`, cents })
      await assert.rejects(call(shop, audit.total, { account: 'a1' }), { code: 'UNAVAILABLE' })
      await shop.services.get('audit')!.start()
      await shop.quiet()
      let count = 0
      for (let account = 0; account < 7; account++)
        count += (await call(shop, audit.total, { account: `a${account}` })).cents.length
      assert.equal(count, 500)
      assert.ok((await shop.admin.ledger()).every((row) => row.balanced && row.pending === 0))
    }))

  it('goes on where it stood when everything restarts', () =>
    inWorld(async (world) => {
      const first = await world.start(createShop())
      for (let cents = 0; cents < 20; cents++) await call(first, book.note, { account: 'a', cents })
      await first.stop()
      const second = await world.start(createShop())
      await call(second, book.note, { account: 'a', cents: 20 })
      await second.quiet()
      const { cents } = await call(second, audit.total, { account: 'a' })
      assert.deepEqual(
        cents,
        Array.from({ length: 21 }, (_, step) => step),
      )
      assert.deepEqual(await call(second, audit.sums, { account: 'a' }), { cents: 210 })
    }))

  it('does not deliver an event twice when a relay dies between append and tidying up', () =>
    inWorld(async (world) => {
      const log = {
        ...world.log,
        async append(source: string, records: Parameters<typeof world.log.append>[1]) {
          await world.log.append(source, records)
          if (records.some((record) => record.data.includes('"cents":3'))) throw new Error('the answer was lost')
        },
      }
      const first = await world.start(createShop(), {}, { log: Object.assign(Object.create(world.log), log) })
      for (const cents of [1, 2, 3]) await call(first, book.note, { account: 'a', cents })
      await first.stop()
      const second = await world.start(createShop())
      await second.quiet()
      assert.deepEqual(await call(second, audit.total, { account: 'a' }), { cents: [1, 2, 3] })
      const events = await Array.fromAsync(second.admin.events({}))
      assert.equal(events.length, 3)
    }))

  it('handles, shows and counts each event once on a log that keeps what it is given twice, also late', () =>
    inWorld(async (world) => {
      const careless = createMemoryLog({ checksAppends: false })
      const given: LogRecord[] = []
      const log = {
        ...careless,
        async append(source: string, records: readonly LogRecord[]): Promise<void> {
          given.push(...records)
          await careless.append(source, given) // all of it again, each time
        },
      }
      const shop = await world.start(createShop(), {}, { log })
      for (const cents of [1, 2, 3]) await call(shop, book.note, { account: 'a', cents })
      await shop.quiet()
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), { cents: [1, 2, 3] })
      assert.deepEqual(
        (await Array.fromAsync(shop.admin.events({}))).map((event) => event.number),
        [1, 2, 3],
      )
      for (const row of await shop.admin.ledger()) assert.ok(row.balanced, JSON.stringify(row))
    }))

  it('shows in the ledger what the log has lost', () =>
    inWorld(async (world) => {
      const shop = await world.start(createShop())
      await call(shop, book.note, { account: 'a', cents: 1 })
      await shop.quiet()
      await shop.services.get('audit')!.stop()
      await call(shop, book.note, { account: 'a', cents: 2 })
      await shop.services.get('book')!.stop()
      await shop.stop()
      const lost: Log = {
        ...world.log,
        read: () => Promise.reject(new AtollError('LOG_GAP', 'its records were deleted')),
      }
      const looking = await openSystem(createShop(), {
        host: world.host,
        log: lost,
        stores: world.stores,
        logger: silentLogger,
      })
      assert.ok((await looking.admin.ledger()).some((row) => !row.balanced))
      await looking.close()
    }))

  it('stops a partition at a gap, raises an alarm, and does not skip', () =>
    inWorld(async (world) => {
      const holes = Object.assign(Object.create(world.log), {
        capabilities: world.log.capabilities,
        async read(source: string, partition: number, after: string | null, limit: number) {
          const records = await world.log.read(source, partition, after, limit)
          return records.filter((record) => !record.data.includes('"cents":2'))
        },
      })
      const shop = await world.start(createShop(), {}, { log: holes })
      for (const cents of [1, 2, 3]) await call(shop, book.note, { account: 'a', cents })
      await shop.services.get('book')!.stop()
      await world.host.advance(50)
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), { cents: [1] })
      await world.host.advance(1_000) // others of its kind would be told in one line with it
      assert.ok(world.logged.some((line) => line.level === 'error' && line.message.includes('ALARM')))
      assert.ok(shop.readiness().reasons.some((reason) => reason.includes('LOG_GAP')))
    }))

  it('waits in the outbox while the log takes nothing, which readiness tells, and goes out when it does', () =>
    inWorld(async (world) => {
      let down = true
      const log = Object.assign(Object.create(world.log), {
        capabilities: world.log.capabilities,
        append: (...args: Parameters<typeof world.log.append>) =>
          down ? Promise.reject(new AtollError('UNAVAILABLE', 'the log is away')) : world.log.append(...args),
      })
      const shop = await world.start(createShop(), {}, { log })
      await call(shop, book.note, { account: 'a', cents: 1 })
      await world.host.advance(10_000)
      assert.ok(
        shop.readiness().reasons.some((reason) => reason.includes('the log is away')),
        JSON.stringify(shop.readiness()),
      )
      const quiet = shop.quiet()
      assert.equal(
        await Promise.race([quiet.then(() => 'quiet'), world.host.advance(10).then(() => 'not yet')]),
        'not yet',
      )
      down = false
      await world.host.advance(60_000)
      await quiet
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), { cents: [1] })
      assert.deepEqual(shop.readiness(), { ready: true, reasons: [], brief: [], warnings: [] })
    }))

  it('is ready again once its store can be read again, though there is nothing to hand on', () =>
    inWorld(async (world) => {
      let down = false
      const stores = changedReads(world.stores, async (statement) => {
        if (down && statement.sql.includes('FROM atoll_outbox'))
          throw new AtollError('UNAVAILABLE', 'the store is away')
      })
      const shop = await world.start(createShop(), {}, { stores })
      await shop.quiet()
      down = true
      await world.host.advance(2_000)
      assert.ok(
        shop.readiness().reasons.some((reason) => reason.includes('the store is away')),
        JSON.stringify(shop.readiness()),
      )
      down = false
      await world.host.advance(20_000)
      assert.deepEqual(shop.readiness(), { ready: true, reasons: [], brief: [], warnings: [] })
    }))

  it('is halted with an alarm when the log refuses it for good', () =>
    inWorld(async (world) => {
      const log = Object.assign(Object.create(world.log), {
        capabilities: world.log.capabilities,
        append: () => Promise.reject(new AtollError('BODY_TOO_LARGE', 'the log has become smaller')),
      })
      const shop = await world.start(createShop(), {}, { log })
      await call(shop, book.note, { account: 'a', cents: 1 })
      await assert.rejects(shop.quiet(), { code: 'BODY_TOO_LARGE' })
      assert.ok(world.logged.some((line) => line.level === 'error' && line.message.includes('ALARM')))
      assert.ok(shop.readiness().reasons.some((reason) => reason.includes('is halted')))
    }))
})
