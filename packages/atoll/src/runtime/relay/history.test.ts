import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AtollError, silentLogger } from '@atoll/host'
import type { Log, StoredRecord } from '@atoll/log/driver'
import { createMemoryLog, createMemoryStorage, type MemoryStorage } from '@atoll/log/memory'
import { audit, book, createShop } from '../../../test/shop.ts'
import { call, inWorld } from '../../../test/world.ts'
import { openSystem, type Calls, type RunningSystem } from '../../runtime.ts'
import { LOST } from './history.ts'

/** A copy that goes on by itself. */
function copyOf(storage: MemoryStorage, upTo = Infinity): MemoryStorage {
  const sources = [...storage.sources].map(
    ([source, partitions]) =>
      [source, new Map([...partitions].map(([partition, records]) => [partition, records.slice(0, upTo)]))] as const,
  )
  return { full: false, sources: new Map(sources) }
}

describe('a subscription', () => {
  for (const [what, code, change] of [
    [
      'has another event than one that it has handled',
      'LOG_DIVERGED',
      (records: StoredRecord[]) => {
        records[1] = { ...records[1]!, id: 'another', data: JSON.stringify({ account: 'fast', cents: 3 }) }
      },
    ],
    [
      'ends before one that it has handled',
      'LOG_GAP',
      (records: StoredRecord[]) => {
        records.length = 1
      },
    ],
  ] as const) {
    it(`is halted where the log ${what} ahead of its cursor`, () =>
      inWorld(async (world) => {
        const storage = createMemoryStorage()
        let release = (): void => {}
        const gate = new Promise<void>((resolve) => (release = resolve))
        const options = { partitions: 1 }
        const log = createMemoryLog({ storage })
        const first = await world.start(
          createShop(async ({ account }) => {
            if (account === 'slow') await gate
          }),
          options,
          { log },
        )
        await call(first, book.note, { account: 'slow', cents: 1 })
        const { position } = await first.dispatch('book.note', { input: { account: 'fast', cents: 2 } })
        assert.ok(position)
        while (storage.sources.get('book')?.get(0)?.length !== 2) await world.host.advance(10)
        await world.host.advance(10)
        const stopping = first.stop({ drainMs: 0 }) // the slow one is still in hand
        await world.host.advance(2_000)
        await stopping
        const other = copyOf(storage)
        change(other.sources.get('book')!.get(0)!)
        const second = await world.start(
          createShop(),
          { ...options, services: ['audit'] },
          { log: createMemoryLog({ storage: other }) },
        )
        await world.host.advance(2_000)
        assert.equal(second.readiness().ready, false)
        assert.ok(
          second.readiness().reasons.some((reason) => reason.includes(`audit is halted: ${code}`)),
          second.readiness().reasons.join('\n'),
        )
        const whole = await openSystem(
          createShop(),
          { host: world.host, log: createMemoryLog({ storage: other }), stores: world.stores, logger: silentLogger },
          options,
        )
        const [account] = await whole.admin.ledger()
        assert.deepEqual(
          [account!.subscription, account!.balanced, account!.why?.startsWith(`${code}: `)],
          ['audit', false, true],
        )
        release()
      }))
  }

  it('says from its start on that it stands in another history, though an instance that is gone still has its leases', () =>
    inWorld(async (world) => {
      const storage = createMemoryStorage()
      const options = { partitions: 2, leaseMs: 60_000 }
      const gone = await world.start(
        createShop(),
        { ...options, instance: 'gone' },
        { log: createMemoryLog({ storage }) },
      )
      for (const cents of [1, 2]) await call(gone, book.note, { account: 'a', cents })
      await gone.quiet() // it neither stops nor does anything from here on
      const older = copyOf(storage, 1)
      const again = await world.start(
        createShop(),
        { ...options, instance: 'again', services: ['audit'] },
        { log: createMemoryLog({ storage: older }) },
      )
      assert.match(
        again.readiness().reasons.join('\n'),
        /audit is halted: LOG_GAP: the log ends at number 1 .* and audit has read up to 2/,
      )
      older.sources.set('book', storage.sources.get('book')!)
      await world.host.advance(5_000)
      assert.deepEqual(again.readiness().reasons, [])
    }))

  it('is not ready while the log does not tell whether it has what was handled', () =>
    inWorld(async (world) => {
      const options = { partitions: 1 }
      const memory = createMemoryLog({ storage: createMemoryStorage() })
      let answer = Promise.resolve()
      const log: Log = { ...memory, read: (...place) => answer.then(() => memory.read(...place)) }
      const first = await world.start(createShop(), options, { log })
      await call(first, book.note, { account: 'a', cents: 1 })
      await first.quiet()
      await first.stop()
      let release = (): void => {}
      answer = new Promise<void>((resolve) => (release = resolve))
      const starting = world.start(createShop(), options, { log })
      await world.host.advance(30_000)
      const second = await starting
      assert.match(
        second.readiness().reasons.join('\n'),
        /audit has not yet seen whether the log has what it has read so far/,
      )
      release()
      await world.host.advance(30_000)
      assert.deepEqual(second.readiness().reasons, [])
    }))

  it('takes a number that is lost for any event that it has handled under it', () =>
    inWorld(async (world) => {
      const storage = createMemoryStorage()
      const options = { partitions: 1 }
      const first = await world.start(createShop(), options, { log: createMemoryLog({ storage }) })
      for (const cents of [1, 2]) await call(first, book.note, { account: 'a', cents })
      await first.quiet()
      await first.stop()
      const other = copyOf(storage)
      const records = other.sources.get('book')!.get(0)!
      records[1] = { ...records[1]!, id: 'nobody', type: LOST }
      const second = await world.start(
        createShop(),
        { ...options, services: ['audit'] },
        { log: createMemoryLog({ storage: other }) },
      )
      assert.deepEqual(second.readiness().reasons, [])
      assert.deepEqual(await call(second, audit.total, { account: 'a' }), { cents: [1, 2] })
    }))

  it('reads on behind a record that has expired', () =>
    inWorld(async (world) => {
      const storage = createMemoryStorage()
      const options = { partitions: 1 }
      const memory = createMemoryLog({ storage })
      const first = await world.start(createShop(), options, { log: memory })
      for (const cents of [1, 2]) await call(first, book.note, { account: 'a', cents })
      await first.quiet()
      await first.stop()
      await memory.close()
      const whole = createMemoryLog({ storage })
      const log: Log = {
        ...whole,
        async read(source, partition, after, limit) {
          if (Number(after ?? 0) < 2) throw new AtollError('LOG_GAP', 'the first two records have expired')
          return whole.read(source, partition, after, limit)
        },
      }
      const second = await world.start(createShop(), options, { log })
      await call(second, book.note, { account: 'a', cents: 3 })
      await second.quiet()
      assert.deepEqual(await call(second, audit.total, { account: 'a' }), { cents: [1, 2, 3] })
    }))
})

describe('a subscription whose source runs in another process', () => {
  it('is not ready while it has handled more than that source ever emitted, also if nobody can be asked by then', () =>
    inWorld((world) =>
      inWorld(async (restored) => {
        const options = { partitions: 1 }
        const source = await world.start(createShop(), { ...options, services: ['book'] })
        // with a store and a log of its own, in which there is nothing
        const older = await restored.start(createShop(), { ...options, services: ['book'] })
        let asked: RunningSystem | undefined = source
        const calls: Calls = {
          dispatch: (operation, { input }) =>
            asked?.dispatch(operation, { input }) ?? Promise.reject(new AtollError('UNAVAILABLE', 'it is away')),
        }
        const subscriber = await world.start(createShop(), { ...options, services: ['audit'] }, { calls })
        for (const cents of [1, 2]) await call(source, book.note, { account: 'a', cents })
        await world.host.advance(40_000)
        assert.deepEqual(subscriber.readiness().reasons, [])
        for (const next of [older, undefined]) {
          asked = next
          await world.host.advance(40_000)
          assert.match(
            subscriber.readiness().reasons.join('\n'),
            /the account of audit cannot balance: LEDGER_UNBALANCED: audit has handled events that their source knows no more \(2 amount\.noted of book\)/,
          )
        }
        asked = source
        await world.host.advance(40_000)
        assert.deepEqual(subscriber.readiness().reasons, [])
      }),
    ))

  it('leaves it to a source whose store is older than the log to say so', () =>
    inWorld((world) =>
      inWorld(async (restored) => {
        const options = { partitions: 1 }
        const source = await world.start(createShop(), { ...options, services: ['book'] })
        await call(source, book.note, { account: 'a', cents: 1 })
        await source.quiet()
        const outdated = await restored.start(createShop(), { ...options, services: ['book'] }, { log: world.log })
        const calls: Calls = { dispatch: (operation, { input }) => outdated.dispatch(operation, { input }) }
        const subscriber = await world.start(createShop(), { ...options, services: ['audit'] }, { calls })
        await world.host.advance(40_000)
        assert.deepEqual([outdated.readiness().ready, subscriber.readiness().reasons], [false, []])
      }),
    ))
})

describe('a service', () => {
  it('does not start on a log that has less than it was given, though an instance that is gone still relays by its lease', () =>
    inWorld(async (world) => {
      const storage = createMemoryStorage()
      const gone = await world.start(
        createShop(),
        { partitions: 1, instance: 'gone' },
        { log: createMemoryLog({ storage }) },
      )
      for (const cents of [1, 2]) await call(gone, book.note, { account: 'a', cents })
      await gone.quiet()
      await world.host.advance(1_000) // its stream's end is noted
      const log = createMemoryLog({ storage: copyOf(storage, 1) })
      await assert.rejects(
        world.start(createShop(), { partitions: 1, instance: 'again', services: ['book'] }, { log }),
        { code: 'LOG_GAP' },
      )
    }))

  it('says at every start that its store does not know the last event that the log has of it, though the numbers agree', () =>
    inWorld(async (world) => {
      const storage = createMemoryStorage()
      const first = await world.start(createShop(), { partitions: 1 }, { log: createMemoryLog({ storage }) })
      for (const cents of [1, 2]) await call(first, book.note, { account: 'a', cents })
      await first.quiet()
      await world.host.advance(1_000) // its stream's end is noted
      await first.stop()
      const other = copyOf(storage)
      const records = other.sources.get('book')!.get(0)!
      records[1] = { ...records[1]!, id: 'another' }
      for (let start = 0; start < 2; start++) {
        const again = await world.start(
          createShop(),
          { partitions: 1, services: ['book'] },
          { log: createMemoryLog({ storage: other }) },
        )
        await world.host.advance(2_000)
        assert.match(again.readiness().reasons.join('\n'), /the relay of book is halted: STORE_OUTDATED/)
        await again.stop()
      }
    }))
})
