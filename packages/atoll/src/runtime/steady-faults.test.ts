import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import { createMemoryLog } from '@atoll/log/memory'
import { audit, book, createShop } from '../../test/shop.ts'
import { call, changedReads, changedWrites, inWorld, type World } from '../../test/world.ts'

describe('a log that cannot be read for an hour', () => {
  it('is asked at growing intervals, told of a few times with how often it failed, and keeps the service from being ready all the while', () =>
    inWorld(async (world) => {
      let down = false
      let reads = 0
      const read: Log['read'] = (...args) =>
        down
          ? (reads++, Promise.reject(new AtollError('UNAVAILABLE', 'the log answers no reads')))
          : world.log.read(...args)
      const shop = await world.start(createShop(), {}, { log: { ...world.log, read } })
      await shop.quiet()
      await shop.services.get('audit')!.stop()
      await call(shop, book.note, { account: 'a', cents: 1 })
      down = true
      await shop.services.get('audit')!.start()
      await world.host.advance(1_000)
      for (let second = 1; second < 3_600; second++) {
        await world.host.advance(1_000)
        assert.equal(shop.readiness().ready, false, `after ${second} s`)
      }
      const told = world.logged.filter(({ message }) => message.startsWith('could not read'))
      assert.ok(told.length > 2 && told.length < 50, `${told.length} lines`)
      assert.ok(told.some(({ fields }) => Number(fields['times']) > 10))
      assert.ok(reads < 3_600 * 2 * 16, `${reads} reads`) // two subscriptions, each partition less than once a second
      down = false
      await world.host.advance(60_000)
      assert.deepEqual(shop.readiness(), { ready: true, reasons: [], brief: [], warnings: [] })
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), { cents: [1] })
    }))
})

describe('stores that are away for an hour', () => {
  it('are told of a few times by each who needs them, and everything goes on when they are back', () =>
    inWorld(async (world) => {
      let down = false
      const away = new AtollError('UNAVAILABLE', 'the stores are away')
      const reading = changedReads(world.stores, async () => {
        if (down) throw away
      })
      const shop = await world.start(
        createShop(),
        {},
        { stores: changedWrites(reading, (store, work) => (down ? Promise.reject(away) : store.write(work))) },
      )
      await call(shop, book.note, { account: 'a', cents: 1 })
      await shop.quiet()
      down = true
      for (let minute = 0; minute < 60; minute++) await world.host.advance(60_000)
      const kinds = Map.groupBy(
        world.logged,
        ({ message, fields }) => `${message} ${String(fields['service'] ?? fields['subscription'])}`,
      )
      for (const [kind, { length }] of kinds) assert.ok(length < 20, `${length} times: ${kind}`)
      assert.equal(shop.readiness().ready, false)
      down = false
      await world.host.advance(120_000)
      assert.deepEqual(shop.readiness(), { ready: true, reasons: [], brief: [], warnings: [] })
    }))
})

describe('stores that are given another log than theirs', () => {
  /** Runs a shop, stops it, and starts it again on what `exchange` makes of its log. */
  async function exchanged(world: World, exchange: (log: Log) => Log): Promise<Awaited<ReturnType<World['start']>>> {
    const first = await world.start(createShop())
    for (const cents of [1, 2, 3]) await call(first, book.note, { account: 'a', cents })
    for (let nth = 0; nth < 30; nth++)
      await call(first, book.note, { account: `of another partition ${nth}`, cents: 1 })
    await first.quiet()
    await first.stop()
    return world.start(createShop(), {}, { log: exchange(world.log) })
  }

  it('are halted with an alarm that names the partitions of a subscription and says what to do, skip nothing and repeat nothing', () =>
    inWorld(async (world) => {
      const refused: Log['read'] = async (source, partition, after, limit) => {
        if (after !== null) throw new AtollError('INVALID', `'${after}' is not an offset that this log gave`)
        return world.log.read(source, partition, after, limit)
      }
      const shop = await exchanged(world, (log) => ({ ...log, read: refused }))
      await world.host.advance(60_000)
      const errors = world.logged.filter(({ level }) => level !== 'info')
      for (const name of ['audit', 'audit.sums']) {
        const alarms = errors.filter(({ fields }) => fields['subscription'] === name)
        const told = alarms.flatMap(({ fields }) => fields['partitions'] as number[])
        assert.match(alarms[0]!.message, /^ALARM: events are missing from the log; these \d+ partitions are halted$/)
        assert.ok(told.length > 10 && new Set(told).size === told.length, `each is named once: ${told}`)
        assert.ok(
          alarms.length <= 2,
          'those that are found at the start together, and the one that is found by what it reads next',
        )
      }
      assert.ok(errors.every(({ message }) => message.startsWith('ALARM')))
      const { ready, reasons } = shop.readiness()
      assert.equal(ready, false)
      for (const name of ['audit', 'audit.sums'])
        assert.equal(
          reasons.filter((reason) => reason.includes(`LOG_GAP: the store of ${name} belongs to another log`)).length,
          1,
          reasons.join('\n'),
        )
      assert.match(reasons.join(), /Give the system the log that its stores have read so far; or restore/)
      assert.deepEqual(await call(shop, audit.total, { account: 'a' }), { cents: [1, 2, 3] })
      assert.ok(await shop.admin.ledger()) // can be asked all the same
    }))

  it('refuse to start where the log has less than they gave it', () =>
    inWorld(async (world) => {
      await assert.rejects(
        exchanged(world, () => createMemoryLog()),
        {
          code: 'LOG_GAP',
          message: /this is another log\. Restore it, or give the system the log that its stores belong to/,
        },
      )
    }))
})
