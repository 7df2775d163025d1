import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { startCluster, type RunningCluster, type RunningEngine } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import { Connection, findCoordinatorV4 } from '@platformatic/kafka'
import { brokerOf, createKafkaWorld, type KafkaWorld } from '../../../test/kafka/world.ts'
import { startRelay, startSubscriber, type Relay, type Subscriber } from '../../../test/relay.ts'
import { assertNumbers, createRecords, numbersTo, readNumbers } from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'
import type { KafkaLogOptions } from '../../kafka.ts'

/** For Kafka. */
const TRANSACTION = 1

describe('a log on a cluster of three Kafka brokers', () => {
  let cluster: RunningCluster
  let folder: string
  let world: KafkaWorld
  let logs: Log[]
  /** One partition for each broker, which leads it. */
  let partitions: number[]
  let relays: Relay[]
  let subscribers: Subscriber[]
  let lost: RunningEngine

  const open = (more: Partial<KafkaLogOptions> = {}): Promise<Log> =>
    world.open({
      brokers: cluster.members.map(({ url }) => brokerOf(url)),
      replicas: 3,
      limits: { callMs: 3_000 },
      ...more,
    })

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'atoll-kafka-'))
    cluster = await startCluster('kafka', { folder })
    world = createKafkaWorld(brokerOf(cluster.members[0]!.url))
    logs = [await open(), await open()]
    await logs[0]!.append(
      'orders',
      numbersTo(8).flatMap((count) => createRecords('orders', count - 1, 1, 3)),
    )
    const { partitions: found } = (await world.admin.metadata({ topics: [world.topicOf('orders')] })).topics.get(
      world.topicOf('orders'),
    )!
    partitions = cluster.members.map((_, index) => Object.values(found).findIndex(({ leader }) => leader === index + 1))
    relays = partitions.map((partition, at) => startRelay(logs[at % 2]!, 'orders', partition, 4))
    subscribers = logs.flatMap((log) => partitions.map((partition) => startSubscriber(log, 'orders', partition)))
  })

  after(async () => {
    await Promise.allSettled(relays.map((relay) => relay.stop()))
    await Promise.allSettled(subscribers.map((subscriber) => subscriber.stop()))
    await cluster.kill()
    await world.abandon()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Which broker knows who may write to a source. */
  async function coordinatorOf(transactionalId: string): Promise<number> {
    const connection = new Connection('test')
    try {
      await connection.connect('127.0.0.1', cluster.members[0]!.port)
      const { coordinators } = await findCoordinatorV4.api.async(connection, TRANSACTION, [transactionalId])
      return coordinators[0]!.nodeId - 1 // one was asked for
    } finally {
      await connection.close()
    }
  }

  it('is said to survive the loss of a node with three replicas, and not with one', async () => {
    const { findings, survives } = await logs[0]!.examine()
    assert.equal(survives['loss of a node'], true)
    assert.deepEqual(
      findings.filter(({ verdict }) => verdict === 'breaks'),
      [],
    )
    const single = await open({ system: `${world.system}-single`, replicas: 1 })
    await single.append('orders', createRecords('orders', 0, 1, 3))
    const found = await single.examine()
    assert.equal(found.survives['loss of a node'], false)
    assert.equal(found.findings.find(({ name }) => name === 'kafka.replication-factor')?.verdict, 'breaks')
  })

  it('loses nothing that was acknowledged, and goes on, when the broker is killed that leads partitions and knows who may write', async () => {
    await until(
      'all append and read',
      () => relays.every(({ acknowledged }) => acknowledged > 30) && subscribers.every(({ number }) => number > 30),
    )
    const index = await coordinatorOf(world.topicOf('orders'))
    lost = cluster.members[index]!
    await lost.kill()
    const acknowledged = relays.map((relay) => relay.acknowledged)
    const heard = new Set<string>()
    for (const [at, log] of logs.entries())
      log.watch(
        'orders',
        (partition) =>
          partition === partitions[index] &&
          relays[index]!.acknowledged > acknowledged[index]! &&
          heard.add(`log ${at}`),
      )

    const fresh = await open()
    for (const [at, partition] of partitions.entries()) {
      await until('a process that has written nothing sees the end', async () => {
        const tail = await fresh.tail('orders', partition)
        assert.ok(
          tail!.number >= acknowledged[at]!,
          `it ends at ${tail?.number}, and ${acknowledged[at]} were acknowledged`,
        )
        return true
      })
    }
    await until('all append', () => relays.every((relay, at) => relay.acknowledged > acknowledged[at]! + 3))
    await until('all read', () => subscribers.every(({ number }, at) => number > acknowledged[at % 3]! + 3))
    await until('both hear', () => heard.size === 2)
  })

  it('refuses appends with two of three brokers gone, and goes on when one is back', async () => {
    const other = cluster.members.find((member) => member !== lost)!
    await other.kill()
    const before = relays.map((relay) => relay.refusals)
    await until('all are refused', () => relays.every((relay, at) => relay.refusals > before[at]! + 1))
    const acknowledged = relays.map((relay) => relay.acknowledged)
    const refused = relays.map((relay) => relay.refusals)
    await until('all are refused again', () => relays.every((relay, at) => relay.refusals > refused[at]! + 1))
    assert.deepEqual(
      relays.map((relay) => relay.acknowledged),
      acknowledged,
      'with one broker of three nothing is acknowledged',
    )

    await lost.restart()
    await until('all append', () => relays.every((relay, at) => relay.acknowledged > acknowledged[at]! + 3))
    const last = await Promise.all(relays.map((relay) => relay.stop()))
    await until('all read', () => subscribers.every(({ number }, at) => number === last[at % 3]!))
    await Promise.all(subscribers.map((subscriber) => subscriber.stop()))
    for (const log of [...logs, await open()]) {
      for (const [at, partition] of partitions.entries()) {
        assertNumbers(await readNumbers(log, 'orders', partition), numbersTo(last[at]!))
        assert.equal((await log.tail('orders', partition))?.number, last[at])
      }
    }
  })
})
