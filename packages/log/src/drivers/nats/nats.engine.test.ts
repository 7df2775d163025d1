import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { AtollError } from '@atoll/host'
import { withNats, type NatsWorld } from '../../../test/nats/world.ts'
import {
  assertNumbers,
  assertRefused,
  createRecord,
  createRecords,
  numbersTo,
  readAll,
  readNumbers,
} from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'

const url = engineUrl('nats')

async function lastSeq({ ask, stream }: NatsWorld, source: string): Promise<number> {
  // as the server documents it
  const { state } = (await ask(`STREAM.INFO.${stream(source)}`)) as { state: { last_seq: number } }
  return state.last_seq
}

async function assertWhole(log: Log, source: string, partition: number, last: number): Promise<void> {
  const records = await readAll(log, source, partition)
  assertNumbers(
    records.map(({ number }) => number),
    numbersTo(last),
  )
  for (const { id, number } of records) assert.equal(id, `${source}/${partition}/${number}`)
}

describe('writers to a log on NATS', () => {
  it('two that append the same events at the same time lose none, double none and keep their order', () =>
    withNats(url, async ({ open }) => {
      const logs = [await open(), await open(), await open({ limits: { messageRecordsMax: 2 } })]
      const relay = async (log: Log, step: number): Promise<void> => {
        for (let last = 0; last < 300;) {
          last = (await log.tail('orders', 0))?.number ?? 0
          const to = Math.min(last + step, 300)
          await log
            .append('orders', [
              ...createRecords('orders', 0, last + 1, to),
              ...createRecords('orders', 1, last + 1, to),
            ])
            .catch((error: unknown) => {
              // partition 1 may be behind partition 0 at that moment
              if (AtollError.from(error).code !== 'LOG_GAP') throw error
            })
        }
      }
      await Promise.all([relay(logs[0]!, 7), relay(logs[1]!, 3), relay(logs[2]!, 11)])
      await assertWhole(await open(), 'orders', 0, 300)
      await assertWhole(await open(), 'orders', 1, 300)
    }))

  it('of two with different events each number goes to one, and the other is told LOG_DIVERGED', () =>
    withNats(url, async ({ open }) => {
      const outcomes = await Promise.all(
        ['a', 'b', 'c'].map(async (name) => {
          const log = await open()
          const records = numbersTo(20).map((number) => createRecord('orders', 0, number, { id: `${name}${number}` }))
          return log.append('orders', records).then(
            () => name,
            (error: unknown) => AtollError.from(error).code,
          )
        }),
      )
      const winner = outcomes.find((outcome) => outcome.length === 1)
      assert.deepEqual(
        outcomes.filter((outcome) => outcome !== winner),
        ['LOG_DIVERGED', 'LOG_DIVERGED'],
      )
      const ids = (await readAll(await open(), 'orders', 0)).map(({ id }) => id)
      assert.deepEqual(
        ids,
        numbersTo(20).map((number) => `${winner}${number}`),
      )
    }))

  it('one that was paused while another went on writes nothing twice, and nothing behind a hole', () =>
    withNats(url, async (world) => {
      const paused = await world.open({ limits: { messageRecordsMax: 1 } })
      const other = await world.open()
      await paused.append('orders', createRecords('orders', 0, 1, 10))
      await other.append('orders', [...createRecords('orders', 0, 11, 15), createRecord('orders', 1, 1)])
      const before = await lastSeq(world, 'orders')
      await assertRefused(
        'LOG_DIVERGED',
        paused.append(
          'orders',
          createRecords('orders', 0, 11, 20).map((record) => ({ ...record, id: `mine-${record.number}` })),
        ),
      )
      await assertRefused('LOG_GAP', paused.append('orders', createRecords('orders', 0, 17, 20)))
      assert.equal(await lastSeq(world, 'orders'), before)
      await paused.append('orders', createRecords('orders', 0, 9, 20))
      await assertWhole(other, 'orders', 0, 20)
    }))

  // Written one behind the other, the second message would follow the stranger's, which has the place of the first: a
  // hole.
  it('of an append of many messages nothing is written once somebody else took the place of the first', () =>
    withNats(url, async (world) => {
      const log = await world.open({ limits: { messageRecordsMax: 1, conflictsMax: 0 } })
      const other = await world.open()
      await log.append('orders', [createRecord('orders', 0, 1)])
      for (let number = 2; number <= 6; number++) {
        await other.append('orders', [createRecord('orders', 0, number)])
        const before = await lastSeq(world, 'orders')
        await assertRefused('UNAVAILABLE', log.append('orders', createRecords('orders', 0, number, 9)))
        assert.equal(await lastSeq(world, 'orders'), before)
        await log.append('orders', [createRecord('orders', 0, 1)]) // it has looked again
      }
      await log.append('orders', createRecords('orders', 0, 2, 9))
      await assertWhole(other, 'orders', 0, 9)
    }))

  it('does not look again because somebody else wrote to another partition', () =>
    withNats(url, async (world) => {
      const log = await world.open({ limits: { messageRecordsMax: 2, conflictsMax: 0 } })
      const other = await world.open()
      for (let first = 1; first < 50; first += 5) {
        await other.append('orders', createRecords('orders', 1, first, first + 4))
        await log.append('orders', [
          ...createRecords('orders', 0, first, first + 4),
          ...createRecords('orders', 2, first, first + 4),
        ])
      }
      for (const partition of [0, 1, 2]) await assertWhole(await world.open(), 'orders', partition, 50)
    }))

  it('of different partitions are each read to the end by who gets one message at a time', () =>
    withNats(url, async (world) => {
      const logs = [await world.open(), await world.open()]
      for (let number = 1; number <= 20; number++)
        for (const [partition, log] of logs.entries())
          await log.append('orders', [createRecord('orders', partition, number)])
      const reader = await world.open({ limits: { readBytesMax: 1, recentBytesMax: 0 } })
      for (const partition of logs.keys()) {
        const found = await readAll(reader, 'orders', partition, null, 1)
        assertNumbers(
          found.map(({ number }) => number),
          numbersTo(20),
        )
        assert.deepEqual(await reader.read('orders', partition, found.at(-1)!.offset, 1), [])
      }
    }))

  it('an append of more messages than one batch takes arrives whole', () =>
    withNats(url, async ({ open }) => {
      const log = await open({ limits: { messageRecordsMax: 1 } })
      await log.append('orders', createRecords('orders', 0, 1, 1300))
      await assertWhole(log, 'orders', 0, 1300)
    }))

  it('finds ids of events far back, and tells which differ', () =>
    withNats(url, async ({ open }) => {
      const log = await open({ limits: { messageRecordsMax: 7 } })
      for (let first = 1; first < 2000; first += 500)
        await log.append(
          'orders',
          [0, 1, 2].flatMap((partition) => createRecords('orders', partition, first, first + 499)),
        )
      const later = await open()
      await later.append('orders', [...createRecords('orders', 1, 3, 2010), ...createRecords('orders', 2, 1990, 2001)])
      await assertWhole(later, 'orders', 1, 2010)
      for (const number of [1, 2, 777, 1999]) {
        await assertRefused(
          'LOG_DIVERGED',
          (await open()).append('orders', [createRecord('orders', 0, number, { id: 'another' })]),
        )
      }
    }))

  it('refuses what is over a limit before anything is written', () =>
    withNats(url, async ({ open }) => {
      const log = await open({ limits: { appendRecordsMax: 10, queuedRecordsMax: 12 } })
      await assertRefused('BODY_TOO_LARGE', log.append('orders', createRecords('orders', 0, 1, 11)))
      await assertRefused(
        'BODY_TOO_LARGE',
        log.append('orders', [
          createRecord('orders', 0, 1),
          createRecord('orders', 1, 1, { key: 'k'.repeat(1024 * 1024) }),
        ]),
      )
      const first = log.append('orders', createRecords('orders', 0, 1, 10))
      await assertRefused('OVERLOADED', log.append('orders', createRecords('orders', 0, 11, 13)))
      await first
      await log.append('orders', createRecords('orders', 0, 11, 13))
      await assertWhole(log, 'orders', 0, 13)
      assert.equal(await log.tail('orders', 1), null)
    }))

  it('works on a stream that takes messages one by one only', () =>
    withNats(url, async ({ open, ask, stream, system }) => {
      await ask(`STREAM.CREATE.${stream('orders')}`, {
        name: stream('orders'),
        subjects: [`atoll.${system}.orders.*`],
        storage: 'file',
      })
      const log = await open({ limits: { messageRecordsMax: 2, recentBytesMax: 0 } })
      await log.append('orders', createRecords('orders', 0, 1, 15))
      await assertWhole(log, 'orders', 0, 15)
    }))
})

describe('readers of a log on NATS', () => {
  it('are told with LOG_GAP that retention ate what they still needed, and read on if it did not', () =>
    withNats(url, async ({ open, ask, stream }) => {
      const log = await open({ limits: { messageRecordsMax: 1, recentBytesMax: 0 } })
      await log.append('orders', createRecords('orders', 0, 1, 10))
      const offsets = (await readAll(log, 'orders', 0)).map(({ offset }) => offset)
      // as the server documents it
      const { config } = (await ask(`STREAM.INFO.${stream('orders')}`)) as { config: object }
      await ask(`STREAM.UPDATE.${stream('orders')}`, { ...config, max_msgs_per_subject: 4, discard: 'old' })
      for (const after of [null, offsets[0]!, offsets[4]!])
        await assertRefused('LOG_GAP', log.read('orders', 0, after, 10))
      assertNumbers(
        (await log.read('orders', 0, offsets[5]!, 10)).map(({ number }) => number),
        [7, 8, 9, 10],
      )
      assert.deepEqual(await log.read('orders', 0, offsets[9]!, 10), [])
    }))

  it('are told with LOG_GAP that a stream was made anew, also when it has grown further than they had read', () =>
    withNats(url, async ({ open, ask, stream }) => {
      const log = await open({ limits: { messageRecordsMax: 1, recentBytesMax: 0 } })
      await log.append('orders', createRecords('orders', 0, 1, 5))
      const { offset } = (await log.tail('orders', 0))!
      assert.deepEqual(await log.read('orders', 0, offset, 10), [])
      await ask(`STREAM.DELETE.${stream('orders')}`)
      const again = await open({ limits: { messageRecordsMax: 1 } })
      const others = numbersTo(9).map((number) => createRecord('orders', 0, number, { id: `other-${number}` }))
      await again.append('orders', others.slice(0, 3))
      await assertRefused('LOG_GAP', log.read('orders', 0, offset, 10))
      await again.append('orders', others.slice(3, 5))
      await assertRefused('LOG_GAP', log.read('orders', 0, offset, 10))
      await again.append('orders', others.slice(5))
      await assertRefused('LOG_GAP', log.read('orders', 0, offset, 10))
    }))

  it('read from any offset, in parts of a message too, whatever is in memory', () =>
    withNats(url, async ({ open }) => {
      const log = await open({ limits: { messageRecordsMax: 8 } })
      await log.append(
        'orders',
        [0, 1].flatMap((partition) => createRecords('orders', partition, 1, 50)),
      )
      const fresh = await open({ limits: { recentBytesMax: 0 } })
      const small = await open({ limits: { recentBytesMax: 4_000 } })
      for (const { offset, number } of await readAll(log, 'orders', 1)) {
        for (const reader of [log, fresh, small]) {
          const found = await reader.read('orders', 1, offset, 5)
          assertNumbers(
            found.map((record) => record.number),
            numbersTo(50).slice(number, number + 5),
          )
        }
      }
    }))

  it('stop with a clear error where somebody else wrote to the stream', () =>
    withNats(url, async ({ open, session, system }) => {
      const log = await open()
      await log.append('orders', [createRecord('orders', 0, 1)])
      await session.request(`atoll.${system}.orders.0`, 'hello')
      const { message } = await assertRefused('STORE_CORRUPT', log.read('orders', 0, null, 10))
      assert.match(message, /a message of partition 0 in the stream of orders is not of this log/)
      await assertRefused('STORE_CORRUPT', (await open()).append('orders', [createRecord('orders', 0, 2)]))
    }))

  it('refuses offsets, systems and servers that make no sense', () =>
    withNats(url, async ({ open }) => {
      const log = await open()
      for (const offset of ['', '7', 'x.0.1.a', '1.0.1', '0.0.1.a', '1.-1.1.a'])
        await assertRefused('INVALID', log.read('orders', 0, offset, 10))
      for (const system of ['', 'a.b', 'a_b', 'A']) await assertRefused('INVALID', open({ system }))
      await assertRefused('INVALID', open({ servers: 'nats://' }))
    }))

  it('of two systems on one server see nothing of each other, also where names could run together', () =>
    withNats(url, async ({ open, system, ask }) => {
      const [one, two] = [await open(), await open({ system: `${system}-a` })]
      let hints = 0
      two.watch('b', () => hints++)
      await one.append('a-b', [createRecord('a-b', 0, 1)])
      assert.deepEqual(await two.read('b', 0, null, 10), [])
      await two.append('b', createRecords('b', 0, 1, 2))
      assert.deepEqual(await readNumbers(one, 'a-b', 0), [1])
      assert.equal(hints, 1)
      await ask(`STREAM.DELETE.atoll_${system}-a_b`)
    }))
})
