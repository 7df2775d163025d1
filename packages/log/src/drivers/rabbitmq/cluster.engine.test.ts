import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { startCluster, type RunningCluster } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import { createNodeHost } from '@atoll/host/node'
import { deleteStreams, freshSystem, withModel } from '../../../test/rabbitmq/harness.ts'
import { assertUnavailable, startRelay, startSubscriber } from '../../../test/relay.ts'
import { assertNumbers, createRecord, createRecords, numbersTo, readOnce } from '../../conformance/records.ts'
import type { Log, LogRecord, Tail } from '../../driver.ts'
import { createRabbitmqLog } from '../../rabbitmq.ts'

const host = createNodeHost()
/** One log writes at the node that is lost, the other one at another. */
const partitions = [0, 1]

describe('a log on a cluster of three RabbitMQ nodes', () => {
  let cluster: RunningCluster
  let folder: string
  const logs: Log[] = []
  const system = freshSystem()

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'atoll-rabbitmq-'))
    cluster = await startCluster('rabbitmq', { folder })
  })

  after(async () => {
    await Promise.all(logs.map((log) => log.close()))
    await cluster.kill()
    rmSync(folder, { recursive: true, force: true })
  })

  /** A log that knows all nodes and begins at one of them, counted from 0. */
  async function open(first: number): Promise<Log> {
    // a scheme that URL knows how to take apart
    const addresses = cluster.members.map(({ url }) => new URL(url.replace('rabbitmq:', 'http:')))
    const { username, password } = addresses[0]!
    const url = `amqp://${username}:${password}@${addresses.map((address) => address.host).join(',')}`
    const log = await createRabbitmqLog({
      url,
      monitoring: cluster.members.map(({ port }) => `http://127.0.0.1:${port + 3}`),
      system,
      host: { ...host, random: () => (first + 0.5) / addresses.length },
    })
    logs.push(log)
    return log
  }

  it('is said to survive the loss of a node with three replicas, and not with one', async () => {
    const log = await open(1)
    const survives = async (): Promise<boolean> => (await log.examine()).survives['loss of a node']
    assert.equal(await survives(), true, 'the cluster has three nodes')
    await log.append('receipts', createRecords('receipts', 0, 1, 3))
    await until('it is told of the stream', async () => {
      const { findings } = await log.examine()
      return !findings.some(({ name, verdict }) => name === 'rabbitmq.policies' && verdict !== 'holds')
    })
    assert.equal(await survives(), true)

    const single = `atoll/${system}/receipts/1`
    await withModel(
      cluster.members[0]!.url,
      async (model) =>
        void (await (
          await model.createChannel()
        ).assertQueue(single, { durable: true, arguments: { 'x-queue-type': 'stream', 'x-initial-cluster-size': 1 } })),
    )
    await until('it is told of the stream with one', async () => !(await survives()))
    const { findings } = await log.examine()
    assert.match(findings.find(({ name }) => name === 'rabbitmq.replicas')!.message, new RegExp(single))
    await deleteStreams(cluster.members[0]!.url, [single])
  })

  it('reads a stream that one node alone has, wherever it began', async () => {
    const single = `atoll/${system}/returns/0`
    await withModel(
      cluster.members[0]!.url,
      async (model) =>
        void (await (
          await model.createChannel()
        ).assertQueue(single, { durable: true, arguments: { 'x-queue-type': 'stream', 'x-initial-cluster-size': 1 } })),
    )
    const log = await open(1)
    await log.append('returns', createRecords('returns', 0, 1, 3))
    await until('it reads', async () => (await readOnce(log, 'returns', 0)).length === 3)
  })

  it('takes appends while a node stands still, and shows all of them to a process that has written nothing and reads from that node', async () => {
    const writer = await open(0)
    const others = [await open(2), await open(2)]
    await writer.append('parcels', createRecords('parcels', 0, 1, 3))
    for (const log of others) log.watch('parcels', () => {})
    await until('a hint', async () => (await others[0]!.tail('parcels', 0))?.number === 3)

    await cluster.members[2]!.pause()
    let acknowledged = 3
    const append = async (count: number, more: Partial<LogRecord>): Promise<void> => {
      await writer.append(
        'parcels',
        Array.from({ length: count }, (_, index) => createRecord('parcels', 0, acknowledged + index + 1, more)),
      )
      acknowledged += count
    }
    while (acknowledged < 1_000) await append(1, {}) // many, for each is told to those who listen there
    const large = { data: JSON.stringify('x'.repeat(20_000)) }
    while (acknowledged < 3_000) await append(20, large) // much, for the node lags when it goes on
    const asked = others.map((log) => log.tail('parcels', 0))
    const opening = open(2)
    await cluster.members[2]!.resume()
    for (const tail of [...asked, opening.then((log) => log.tail('parcels', 0))]) {
      assertAtLeast(await tail.catch((error: unknown) => (assertUnavailable(error), undefined)), acknowledged)
    }
    for (const log of [...others, await opening]) {
      await until('it answers', async () => {
        assertAtLeast(await log.tail('parcels', 0), acknowledged)
        return true
      })
      assertNumbers(await readOnce(log, 'parcels', 0), numbersTo(acknowledged))
    }
  })

  it('loses nothing that was acknowledged, and goes on, when the node that leads its streams is killed and its data deleted', async () => {
    const [atLost, other] = [await open(0), await open(1)]
    // A stream is led where it is made.
    for (const source of ['orders', 'idle'])
      for (const partition of partitions) await atLost.append(source, createRecords(source, partition, 1, 3))
    const relays = [startRelay(atLost, 'orders', 0, 4), startRelay(other, 'orders', 1, 4)]
    const subscribers = [atLost, other].flatMap((log) =>
      partitions.map((partition) => startSubscriber(log, 'orders', partition)),
    )
    await until(
      'all append and read',
      () => relays.every(({ acknowledged }) => acknowledged > 200) && subscribers.every(({ number }) => number > 200),
    )

    await cluster.members[0]!.kill()
    rmSync(cluster.members[0]!.folder, { recursive: true })
    const acknowledged = relays.map((relay) => relay.acknowledged)
    const heard = new Set<Log>()
    for (const [at, log] of [atLost, other].entries())
      log.watch(
        'orders',
        (partition) => partition !== at && relays[partition]!.acknowledged > acknowledged[partition]! && heard.add(log),
      )

    const fresh = await Promise.all([open(0), open(1), open(2)])
    for (const [at, log] of fresh.entries()) {
      for (const partition of partitions) {
        await until('a process that has written nothing sees the end', async () => {
          const [idle, tail] = [await log.tail('idle', partition), await log.tail('orders', partition)]
          assert.equal(idle?.number, 3)
          assert.ok(
            tail!.number >= acknowledged[partition]!,
            `it ends at ${tail?.number}, and ${acknowledged[partition]} were acknowledged (${at})`,
          )
          return true
        })
      }
    }
    await until('all append', () => relays.every((relay, at) => relay.acknowledged > acknowledged[at]! + 3))
    await until('all read', () => subscribers.every(({ number }, at) => number > acknowledged[at % 2]! + 3))
    await until('both hear', () => heard.size === 2)

    const last = await Promise.all(relays.map((relay) => relay.stop()))
    await Promise.all(subscribers.map((subscriber) => subscriber.stop()))
    for (const log of [atLost, other, ...fresh]) {
      for (const partition of partitions) {
        assertNumbers(await readOnce(log, 'orders', partition), numbersTo(last[partition]!))
        assertNumbers(await readOnce(log, 'idle', partition), numbersTo(3))
        assert.equal((await log.tail('orders', partition))?.number, last[partition])
      }
    }
  })
})

/** While a node goes on, it may refuse; what it answers must be all. */
function assertAtLeast(tail: Tail | null | undefined, number: number): void {
  if (tail !== undefined)
    assert.ok((tail?.number ?? 0) >= number, `it ends at ${tail?.number}, and ${number} were acknowledged`)
}
