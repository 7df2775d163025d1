import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { startCluster, type RunningCluster } from '@atoll/engines'
import { createNodeHost } from '@atoll/host/node'
import { readOnce } from '../../../test/numbers.ts'
import { freshSystem } from '../../../test/rabbitmq/harness.ts'
import { startRelay, startSubscriber } from '../../../test/relay.ts'
import { eventually } from '../../../test/waiting.ts'
import { assertNumbers, createRecords, numbersTo } from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'
import { createRabbitmqLog } from '../../rabbitmq.ts'

/** Within this time after the loss of a node everybody appends, reads and hears again. */
const boundMs = 30_000

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
    const addresses = cluster.members.map(({ url }) => new URL(url.replace('rabbitmq:', 'http:'))) // a scheme that URL knows how to take apart
    const { username, password } = addresses[0]!
    const url = `amqp://${username}:${password}@${addresses.map((address) => address.host).join(',')}`
    const log = await createRabbitmqLog({ url, system, host: { ...host, random: () => (first + 0.5) / addresses.length } })
    logs.push(log)
    return log
  }

  it(`loses nothing that was acknowledged, and goes on within ${boundMs / 1_000} s, when the node that leads its streams is killed and its data deleted`, async () => {
    const [atLost, other] = [await open(0), await open(1)]
    // A stream is led where it is made.
    for (const source of ['orders', 'idle']) for (const partition of partitions) await atLost.append(source, createRecords(source, partition, 1, 3))
    const relays = [startRelay(atLost, 'orders', 0, 4), startRelay(other, 'orders', 1, 4)]
    const subscribers = [atLost, other].flatMap((log) => partitions.map((partition) => startSubscriber(log, 'orders', partition)))
    await eventually('all append and read', () => relays.every(({ acknowledged }) => acknowledged > 200) && subscribers.every(({ number }) => number > 200))

    await cluster.members[0]!.kill()
    rmSync(cluster.members[0]!.folder, { recursive: true })
    const acknowledged = relays.map((relay) => relay.acknowledged)
    const lostMs = performance.now()
    const heard = new Set<Log>()
    for (const [at, log] of [atLost, other].entries()) log.watch('orders', (partition) => partition !== at && relays[partition]!.acknowledged > acknowledged[partition]! && heard.add(log))

    const fresh = await Promise.all([open(0), open(1), open(2)])
    for (const [at, log] of fresh.entries()) {
      for (const partition of partitions) {
        await eventually('a process that has written nothing sees the end', async () => {
          const [idle, tail] = [await log.tail('idle', partition), await log.tail('orders', partition)]
          assert.equal(idle?.number, 3)
          assert.ok(tail!.number >= acknowledged[partition]!, `it ends at ${tail?.number}, and ${acknowledged[partition]} were acknowledged (${at})`)
          return true
        })
      }
    }
    console.log('tails', performance.now() - lostMs)
    await eventually('all append', () => relays.every((relay, at) => relay.acknowledged > acknowledged[at]! + 3))
    console.log('append', performance.now() - lostMs, relays.map((r) => r.refusals))
    await eventually('all read', () => subscribers.every(({ number }, at) => number > acknowledged[at % 2]! + 3))
    console.log('read', performance.now() - lostMs)
    await eventually('both hear', () => heard.size === 2)
    const tookMs = performance.now() - lostMs
    console.log('all', tookMs)
    assert.ok(tookMs < boundMs, `it took ${Math.round(tookMs)} ms until all appended, read and heard again`)

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
