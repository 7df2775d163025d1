import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createNodeHost } from '@atoll/host/node'
import { withNatsCluster, type NatsNode } from '../../../test/nats-cluster.ts'
import { Traffic } from '../../../test/traffic.ts'
import { eventually } from '../../../test/waiting.ts'
import { assertRefused, createRecord } from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'
import { createNatsLog } from '../../nats.ts'

const host = createNodeHost()
/** Within so long a log is to go on after a server was lost, milliseconds. */
const FAILOVER_MS = 20_000

interface Cluster {
  readonly nodes: readonly NatsNode[]
  open(replicas?: number): Promise<Log>
  /** The server that leads the stream now. */
  leader(): Promise<NatsNode>
}

/** Runs `body` with three servers, and logs of one system that know all of them. */
function inCluster(body: (cluster: Cluster) => Promise<void>): Promise<void> {
  return withNatsCluster(async (nodes) => {
    const urls = nodes.map(({ url }) => url)
    const monitoring = nodes.map((node) => node.monitoring)
    const logs: Log[] = []
    const open = async (replicas = 3): Promise<Log> => {
      const log = await createNatsLog({ servers: urls, system: 'shop', host, replicas, monitoring })
      logs.push(log)
      return log
    }
    const leader = async (): Promise<NatsNode> => {
      let name: string | undefined
      await eventually('the stream has a leader', async () => {
        for (const node of monitoring) name ??= leaderOf(await (await fetch(`${node}/jsz?streams=true`)).json())
        return name !== undefined
      })
      return nodes.find((node) => node.name === name)!
    }
    try {
      await eventually('the servers have found each other', async () => {
        const log = await open()
        return (await log.tail('orders', 0)) === null
      })
      await body({ nodes, open, leader })
    } finally {
      await Promise.all(logs.map((log) => log.close()))
    }
  })
}

/** As a server's monitoring page tells it. */
function leaderOf(page: unknown): string | undefined {
  const { account_details: accounts = [] } = page as { account_details?: { stream_detail?: { name: string; cluster?: { leader?: string } }[] }[] }
  return accounts.flatMap(({ stream_detail: streams = [] }) => streams).find(({ name }) => name === 'atoll_shop_orders')?.cluster?.leader
}

describe('a log on three servers of NATS', () => {
  it('loses nothing that was acknowledged when the server that leads is lost with its data, and goes on', () =>
    inCluster(async ({ open, leader }) => {
      const log = await open()
      const other = await open()
      let hints = 0
      other.watch('orders', () => hints++)
      const traffic = new Traffic(log)
      await traffic.more(50, FAILOVER_MS)
      await (await leader()).lose()
      await traffic.more(50, FAILOVER_MS)
      hints = 0
      await traffic.more(50, FAILOVER_MS)
      assert.ok(hints > 0, 'others hear of what is new')
      await traffic.end(await open())
    }))

  it('acknowledges nothing that one server alone has, and goes on when a second is back', () =>
    inCluster(async ({ nodes, open, leader }) => {
      const log = await open()
      const traffic = new Traffic(log)
      await traffic.more(50, FAILOVER_MS)
      const first = await leader()
      const others = nodes.filter((node) => node !== first)
      await Promise.all(others.map((node) => node.kill()))
      const { acknowledged } = traffic
      await assertRefused('UNAVAILABLE', log.append('invoices', [createRecord('invoices', 0, 1)]))
      assert.ok(traffic.acknowledged <= acknowledged + 5, 'one batch may have been on its way')
      await others[0]!.start()
      await traffic.more(50, FAILOVER_MS)
      await traffic.end(await open())
    }))

  it('says that it survives the loss of a server as long as every stream lies on three', () =>
    inCluster(async ({ open }) => {
      const log = await open()
      const survives = async (): Promise<boolean | undefined> => (await log.examine()).survives['loss of a node']
      await log.append('orders', [createRecord('orders', 0, 1)])
      assert.equal(await survives(), true)
      await (await open(1)).append('invoices', [createRecord('invoices', 0, 1)])
      assert.equal(await survives(), false)
    }))
})
