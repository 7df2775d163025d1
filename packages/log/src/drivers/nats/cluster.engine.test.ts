import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { startCluster, type RunningEngine } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import { createNodeHost } from '@atoll/host/node'
import { assertWhole, goOn, startRelay } from '../../../test/relay.ts'
import { assertRefused, createRecord } from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'
import { createNatsLog } from '../../nats.ts'

const host = createNodeHost()

interface Cluster {
  readonly members: readonly RunningEngine[]
  /** A log that knows all of them. */
  open(replicas?: number): Promise<Log>
  /** The server that leads the stream of `orders` now. */
  leader(): Promise<RunningEngine>
}

/** Runs `body` with three servers, and logs of one system. */
async function inCluster(body: (cluster: Cluster) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-nats-cluster-'))
  const { members, kill } = await startCluster('nats', { folder })
  const monitoring = members.map(({ port }) => `http://127.0.0.1:${port + 2}`)
  const logs: Log[] = []
  try {
    await body({
      members,
      async open(replicas = 3) {
        const log = await createNatsLog({
          servers: members.map(({ url }) => url),
          system: 'shop',
          host,
          replicas,
          monitoring,
        })
        logs.push(log)
        return log
      },
      async leader() {
        let name: string | undefined
        await until('the stream has a leader', async () => {
          for (const url of monitoring) name ??= leaderOf(await (await fetch(`${url}/jsz?streams=true`)).json())
          return name !== undefined
        })
        return members[Number(name!.replace('atoll-', '')) - 1]!
      },
    })
  } finally {
    await Promise.all(logs.map((log) => log.close()))
    await kill()
    rmSync(folder, { recursive: true })
  }
}

/** As a server's monitoring page tells it. */
function leaderOf(page: unknown): string | undefined {
  const { account_details: accounts = [] } = page as {
    account_details?: { stream_detail?: { name: string; cluster?: { leader?: string } }[] }[]
  }
  return accounts.flatMap(({ stream_detail: streams = [] }) => streams).find(({ name }) => name === 'atoll_shop_orders')
    ?.cluster?.leader
}

describe('a log on three servers of NATS', () => {
  it('loses nothing that was acknowledged when the server that leads is lost with its data, and goes on', () =>
    inCluster(async ({ open, leader }) => {
      const log = await open()
      const relays = [0, 1, 2].map((partition) => startRelay(log, 'orders', partition))
      await goOn(relays)
      let hints = 0
      const other = await open()
      other.watch('orders', () => hints++)
      const lost = await leader()
      await lost.kill()
      rmSync(lost.folder, { recursive: true })
      await goOn(relays)
      hints = 0
      await goOn(relays)
      assert.ok(hints > 0, 'others hear of what is new')
      await assertWhole(await open(), 'orders', await Promise.all(relays.map((relay) => relay.stop())))
    }))

  it('acknowledges nothing that one server alone has, and goes on when a second is back', () =>
    inCluster(async ({ members, open, leader }) => {
      const log = await open()
      const relays = [0, 1, 2].map((partition) => startRelay(log, 'orders', partition))
      await goOn(relays)
      const left = await leader()
      const others = members.filter((member) => member !== left)
      await Promise.all(others.map((member) => member.kill()))
      await assertRefused('UNAVAILABLE', log.append('invoices', [createRecord('invoices', 0, 1)]))
      const refusals = relays.map((relay) => relay.refusals)
      await until('all are refused', () => relays.every((relay, at) => relay.refusals > refusals[at]! + 1))
      await others[0]!.restart()
      await goOn(relays)
      await assertWhole(await open(), 'orders', await Promise.all(relays.map((relay) => relay.stop())))
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
