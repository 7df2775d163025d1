import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import type { Examination } from '@atoll/host'
import { Connection, initProducerIdV4, NumericMap, produceV9, type Admin } from '@platformatic/kafka'
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
import { inKafkaWorld, type KafkaWorld } from '../../../test/kafka/world.ts'

const inWorld = (body: (world: KafkaWorld) => Promise<void>) => () => inKafkaWorld(engineUrl('kafka'), body)

describe('the Kafka log, when several write', () => {
  it(
    'lets two writers of one partition take turns, and readers get each event once and in order',
    inWorld(async (world) => {
      const logs = [await world.open(), await world.open()]
      await Promise.all(logs.map((log) => relay(log, 60)))
      assertNumbers(await readNumbers(logs[0]!, 'orders', 0), numbersTo(60))
      assert.deepEqual(await logs[0]!.tail('orders', 0), await logs[1]!.tail('orders', 0))
      assert.equal((await logs[0]!.tail('orders', 0))?.number, 60)
    }),
  )

  it(
    'ignores what a writer repeats that was away while another went on, and refuses what others have taken',
    inWorld(async (world) => {
      const paused = await world.open()
      await paused.append('orders', createRecords('orders', 0, 1, 3))
      const other = await world.open()
      await other.append('orders', createRecords('orders', 0, 4, 30))
      await paused.append('orders', createRecords('orders', 0, 4, 8))
      await assertRefused('LOG_DIVERGED', paused.append('orders', [createRecord('orders', 0, 4, { id: 'another' })]))
      await other.append('orders', createRecords('orders', 0, 31, 31))
      assertNumbers(await readNumbers(other, 'orders', 0), numbersTo(31))
    }),
  )

  it(
    'goes on with numbers that another writer has reached meanwhile',
    inWorld(async (world) => {
      const first = await world.open()
      await first.append('orders', createRecords('orders', 0, 1, 3))
      const second = await world.open()
      await second.append('orders', createRecords('orders', 0, 4, 6))
      await first.append('orders', createRecords('orders', 0, 7, 9))
      assertNumbers(await readNumbers(second, 'orders', 0), numbersTo(9))
    }),
  )

  it(
    'claims anew when a claim is old, and nobody sees of it',
    inWorld(async (world) => {
      const log = await world.open({ limits: { claimMs: 0 } })
      for (let number = 1; number <= 5; number++) await log.append('orders', [createRecord('orders', 0, number)])
      assertNumbers(
        (await readAll(log, 'orders', 0, null, 1)).map((record) => record.number),
        numbersTo(5),
      )
    }),
  )

  it(
    'shuts out whoever wrote last under another id, as after Kafka has forgotten the id of a source',
    inWorld(async (world) => {
      const log = await world.open()
      await log.append('orders', createRecords('orders', 0, 1, 2))
      const stranger = await openStranger(world)
      await stranger.put(0)
      const next = await world.open()
      await next.append('orders', createRecords('orders', 0, 3, 4))
      await assert.rejects(stranger.put(1), /INVALID_PRODUCER_EPOCH|old epoch|Received response with error/)
      await stranger.connection.close()
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(4))
      assert.equal((await log.tail('orders', 0))?.number, 4)
    }),
  )

  it(
    'tells a listener of what another process appended',
    inWorld(async (world) => {
      const log = await world.open()
      const other = await world.open()
      const told: number[] = []
      log.watch('orders', (partition) => void told.push(partition))
      await other.append('orders', [createRecord('orders', 2, 1)])
      await until('a hint for a topic that was not there', () => told.includes(2))
      await other.append('orders', [createRecord('orders', 5, 1)])
      await until('a hint for another partition', () => told.includes(5))
    }),
  )
})

describe('the Kafka log, when records are gone', () => {
  it(
    'tells readers whose next records were deleted, and also those who begin; who is further reads on',
    inWorld(async (world) => {
      const log = await world.open()
      for (const [first, last] of [
        [1, 4],
        [5, 10],
      ] as const)
        await log.append('orders', createRecords('orders', 0, first, last))
      const records = await readAll(log, 'orders', 0)
      const next = await world.open() // has nothing in memory
      await deleteUntil(world.admin, world.topicOf('orders'), kafkaOffsetOf(records[6]!.offset))
      await assertRefused('LOG_GAP', next.read('orders', 0, null, 10))
      await assertRefused('LOG_GAP', next.read('orders', 0, records[4]!.offset, 10))
      assertNumbers(
        (await next.read('orders', 0, records[5]!.offset, 10)).map(({ number }) => number),
        [7, 8, 9, 10],
      )
      assert.equal((await next.tail('orders', 0))?.number, 10)
      await assertRefused('LOG_GAP', next.append('orders', createRecords('orders', 0, 2, 11)))
      await next.append('orders', createRecords('orders', 0, 9, 12))
      assert.equal((await next.tail('orders', 0))?.number, 12)
    }),
  )

  it(
    'has no tail when everything was deleted, and refuses to go on as if nothing had been',
    inWorld(async (world) => {
      const log = await world.open()
      await log.append('orders', createRecords('orders', 0, 1, 5))
      const { offset } = (await log.tail('orders', 0))!
      await deleteUntil(world.admin, world.topicOf('orders'), -1n)
      assert.equal(await log.tail('orders', 0), null)
      assert.deepEqual(await log.read('orders', 0, offset, 10), [])
      await assertRefused('LOG_GAP', (await world.open()).append('orders', createRecords('orders', 0, 6, 7)))
    }),
  )

  it(
    'tells readers of a topic that was deleted and made anew, however many records it has by now',
    inWorld(async (world) => {
      const log = await world.open()
      await log.append('orders', createRecords('orders', 0, 1, 5))
      const { offset } = (await readAll(log, 'orders', 0))[2]!
      const tail = (await log.tail('orders', 0))!
      await world.deleteTopic('orders')
      const other = await world.open()
      await other.append('orders', createRecords('orders', 0, 1, 20))
      for (const reader of [log, other]) {
        await assertRefused('LOG_GAP', reader.read('orders', 0, tail.offset, 10))
        assertNumbers(await readNumbers(reader, 'orders', 0), numbersTo(20))
      }
      await assertRefused('LOG_GAP', other.read('orders', 0, offset, 10))
      await assertRefused('LOG_GAP', log.append('orders', createRecords('orders', 0, 22, 23)))
    }),
  )

  it(
    'tells whoever has read further than the log reaches, unless it is the broker that is behind',
    inWorld(async (world) => {
      const log = await world.open()
      await log.append('orders', createRecords('orders', 0, 1, 5))
      const { offset } = (await log.tail('orders', 0))!
      const [place, epoch, topic] = offset.split('.')
      await assertRefused('LOG_GAP', log.read('orders', 0, `${Number(place) + 10}.${epoch}.${topic}`, 10))
      // of a leader that the broker has not heard of: it is behind
      await assertRefused('UNAVAILABLE', log.read('orders', 0, `${place}.${Number(epoch) + 1}.${topic}`, 10))
    }),
  )

  it(
    'refuses what is no offset',
    inWorld(async (world) => {
      const log = await world.open()
      await log.append('orders', createRecords('orders', 0, 1, 1))
      for (const nonsense of [
        '',
        '0',
        '-1',
        '1e3',
        'x.0.abcdefghijklmnopqrstuv',
        '99999999999999999999.0.abcdefghijklmnopqrstuv',
      ])
        await assertRefused('INVALID', log.read('orders', 0, nonsense, 10))
    }),
  )
})

describe('the Kafka log', () => {
  it(
    'passes over records that it did not write',
    inWorld(async (world) => {
      const log = await world.open()
      await log.append('orders', createRecords('orders', 0, 1, 3))
      const stranger = await openStranger(world)
      for (const sequence of [0, 1, 2]) await stranger.put(sequence)
      await stranger.connection.close()
      const { offset } = (await log.tail('orders', 0))!
      assert.deepEqual(await log.read('orders', 0, offset, 10), [])
      await log.append('orders', createRecords('orders', 0, 4, 5))
      assertNumbers(
        (await log.read('orders', 0, offset, 10)).map(({ number }) => number),
        [4, 5],
      )
    }),
  )

  it(
    'keeps times that lie far apart in one append',
    inWorld(async (world) => {
      const log = await world.open()
      const times = [1_000, 4_102_444_800_123, 5, 1_800_000_000_000, 1_800_000_000_001]
      await log.append(
        'orders',
        times.map((at, index) => createRecord('orders', 0, index + 1, { at })),
      )
      assert.deepEqual(
        (await readAll(log, 'orders', 0)).map(({ at }) => at),
        times,
      )
    }),
  )

  it(
    'reads what is large in pieces, within its bounds',
    inWorld(async (world) => {
      const log = await world.open({ limits: { readBytesMax: 1_000_000, recentBytesMax: 0 } })
      const data = JSON.stringify('x'.repeat(300_000))
      await log.append(
        'orders',
        createRecords('orders', 0, 1, 12).map((record) => ({ ...record, data })),
      )
      assert.ok((await log.read('orders', 0, null, 100)).length <= 4)
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(12))
      assertNumbers(
        (await readAll(log, 'orders', 0, null, 1)).map(({ number }) => number),
        numbersTo(12),
      )
    }),
  )

  it(
    'refuses what would go beyond its limits, and places that there are not',
    inWorld(async (world) => {
      const log = await world.open({ limits: { appendRecordsMax: 10, queuedRecordsMax: 15 } })
      await assertRefused('BODY_TOO_LARGE', log.append('orders', createRecords('orders', 0, 1, 11)))
      await assertRefused(
        'BODY_TOO_LARGE',
        log.append('orders', [createRecord('orders', 0, 1, { key: 'k'.repeat(70_000) })]),
      )
      await assertRefused('INVALID', log.append('orders', [createRecord('orders', 8, 1)]))
      await assertRefused('INVALID', world.open({ system: 'a.b' }))
      const appends = [1, 2, 3].map((service) =>
        log.append(`service-${service}`, createRecords(`service-${service}`, 0, 1, 10)),
      )
      const codes = (await Promise.allSettled(appends)).map((result) =>
        result.status === 'rejected' ? (result.reason as { code: string }).code : 'taken',
      ) // an AtollError
      assert.deepEqual(codes, ['taken', 'OVERLOADED', 'OVERLOADED'])
    }),
  )

  it(
    'does not write to a topic that has another number of partitions',
    inWorld(async (world) => {
      await (await world.open()).append('orders', createRecords('orders', 0, 1, 1))
      await assertRefused(
        'UNSUPPORTED',
        (await world.open({ partitions: 4 })).append('orders', createRecords('orders', 0, 2, 2)),
      )
    }),
  )

  it(
    'makes topics that keep everything, with the key and the data where other tools look for them',
    inWorld(async (world) => {
      const log = await world.open()
      await log.append('orders', [createRecord('orders', 0, 1)])
      const { findings, survives } = await log.examine()
      assert.deepEqual(
        findings.filter(({ verdict }) => verdict === 'breaks' || verdict === 'unknown'),
        [],
      )
      assert.deepEqual(survives, {
        'process kill': true,
        'OS crash': true,
        'power loss': true,
        'loss of a node': false,
      })
    }),
  )

  it(
    'names the settings of topics that break a promise, and does not touch them',
    inWorld(async (world) => {
      const configs = {
        'retention.ms': '60000',
        'retention.bytes': '1000000',
        'cleanup.policy': 'compact,delete',
        'max.message.bytes': '1000',
        'flush.messages': '1000',
        'message.timestamp.type': 'LogAppendTime',
      }
      await world.admin.createTopics({
        topics: [world.topicOf('orders')],
        partitions: 3,
        replicas: 1,
        configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
      })
      await until('the broker shows the topic', async () =>
        (await world.admin.listTopics()).includes(world.topicOf('orders')),
      )
      const log = await world.open()
      const examination = await log.examine()
      const names = [
        'kafka.retention-ms',
        'kafka.retention-bytes',
        'kafka.cleanup-policy',
        'kafka.max-message-bytes',
        'kafka.log-flush-interval-messages',
        'kafka.partitions',
      ]
      assert.deepEqual(brokenIn(examination), names.toSorted())
      assert.equal(examination.survives['power loss'], false)
      assert.equal(examination.findings.find(({ name }) => name === 'kafka.retention-ms')?.value, '60000')
    }),
  )

  it(
    'makes no topic by being asked',
    inWorld(async (world) => {
      const log = await world.open()
      await log.read('orders', 0, null, 10)
      await log.tail('orders', 0)
      log.watch('orders', () => {})
      await assertRefused('LOG_GAP', log.append('orders', [createRecord('orders', 0, 2)]))
      assert.ok(!(await world.admin.listTopics()).includes(world.topicOf('orders')))
    }),
  )
})

/**
 * Appends 1 to `last` as a relay does that knows nothing of others: each time what follows the tail, and some of what
 * is before it.
 */
async function relay(log: Log, last: number): Promise<void> {
  for (let from = 1; from <= last;) {
    await log
      .append('orders', createRecords('orders', 0, Math.max(1, from - 2), Math.min(last, from + 2)))
      .catch((error: { code?: string }) => assert.equal(error.code, 'UNAVAILABLE'))
    from = ((await log.tail('orders', 0))?.number ?? 0) + 1
  }
}

/** Somebody who writes to partition 0 of orders with a client of their own. */
async function openStranger(
  world: KafkaWorld,
): Promise<{ connection: Connection; put(sequence: number): Promise<void> }> {
  const connection = new Connection('stranger')
  const [host, port] = world.broker.split(':')
  await connection.connect(host!, Number(port))
  const { producerId, producerEpoch } = await initProducerIdV4.api.async(connection, null, 60_000)
  const topic = world.topicOf('orders')
  return {
    connection,
    async put(sequence) {
      const sequences = new NumericMap([[`${topic}:0`, sequence]])
      await produceV9.api.async(connection, -1, 5_000, [{ topic, partition: 0, value: Buffer.from('hello') }], {
        producerId,
        producerEpoch,
        sequences,
      })
    },
  }
}

async function deleteUntil(admin: Admin, topic: string, offset: bigint): Promise<void> {
  await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset }] }] })
}

function kafkaOffsetOf(offset: string): bigint {
  return BigInt(offset.split('.')[0]!)
}

function brokenIn({ findings }: Examination): string[] {
  return findings
    .filter(({ verdict }) => verdict === 'breaks')
    .map(({ name }) => name)
    .toSorted()
}
