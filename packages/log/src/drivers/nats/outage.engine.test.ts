import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import { createNodeHost } from '@atoll/host/node'
import { createNetwork, type Network } from '../../../test/network.ts'
import { withNatsServer } from '../../../test/nats/server.ts'
import { withNats } from '../../../test/nats/world.ts'
import { assertRefused, createRecord } from '../../conformance/records.ts'
import type { Log } from '../../driver.ts'
import { createNatsLog, type NatsLogLimits } from '../../nats.ts'

// What every log does when its engine is away is in the suite.

const url = engineUrl('nats')
const host = createNodeHost()
const impatient: Partial<NatsLogLimits> = {
  callMs: 800,
  pingMs: 200,
  connectMs: 300,
  startMs: 300,
  reconnectMsMax: 100,
}

/** Why a call was refused with UNAVAILABLE. */
async function refusal(call: Promise<unknown>): Promise<string> {
  return (await assertRefused('UNAVAILABLE', call)).message
}

/** A log that reaches the engine through a network that can fail. */
function withNetwork(body: (network: Network, log: Log) => Promise<void>): Promise<void> {
  return withNats(url, async (world) => {
    const network = await createNetwork(url, 4222)
    try {
      await body(network, await world.open({ servers: network.url, limits: impatient }))
    } finally {
      await network.close()
    }
  })
}

describe('a log on NATS, when the network fails', () => {
  it('says that the server did not answer a ping, and then that it takes connections and does not answer', () =>
    withNetwork(async (network, log) => {
      await log.append('orders', [createRecord('orders', 0, 1)])
      await network.silence()
      await refusal(log.tail('orders', 0))
      assert.match(await refusal(log.tail('orders', 0)), /did not answer a ping/)
      await until('it says so', async () =>
        (await refusal(log.tail('orders', 0))).includes('accepts connections and does not answer'),
      )
    }))

  it('leaves no connections behind while it tries to reach a server that accepts them and says nothing', () =>
    withNetwork(async ({ silence, proxy }, log) => {
      const before = proxy.accepted
      const heal = await silence()
      await until('it has tried often', () => proxy.accepted >= before + 6)
      assert.ok(proxy.open <= 2, `${proxy.open} connections are open`)
      await heal()
      await until('it appends', () => log.append('orders', [createRecord('orders', 0, 1)]).then(() => true))
    }))
})

describe('a log on NATS, when the server refuses something', () => {
  it('goes on trying with credentials that are refused, and works once they are right', () =>
    withNatsServer(async (server) => {
      const jetstream = 'jetstream { store_dir: "data" }'
      await server.start(`${jetstream}\nauthorization { user: shop, password: right }`)
      const wrong = await createNatsLog({
        servers: server.url.replace('//', '//shop:wr%6Fng@'),
        system: 'shop',
        host,
        limits: impatient,
      })
      await refusal(wrong.tail('orders', 0))
      const right = await createNatsLog({
        servers: server.url,
        system: 'shop',
        host,
        credentials: { user: 'shop', password: 'right' },
        limits: impatient,
      })
      await right.append('orders', [createRecord('orders', 0, 1)])
      await server.kill()
      await server.start(`${jetstream}\nauthorization { user: shop, password: wrong }`)
      await until('it works', async () => (await wrong.tail('orders', 0))?.number === 1)
      await until('it is refused', () => refusal(right.tail('orders', 0)).then(() => true))
      await Promise.all([wrong.close(), right.close()])
    }))

  it('says that the user may not do something, without waiting', () =>
    withNatsServer(async (server) => {
      await server.start(
        'jetstream { store_dir: "data" }\nauthorization { users: [{ user: shop, password: right, permissions { publish: "$JS.API.>" } }] }',
      )
      const log = await createNatsLog({
        servers: server.url,
        system: 'shop',
        host,
        credentials: { user: 'shop', password: 'right' },
      })
      const message = await refusal(log.append('orders', [createRecord('orders', 0, 1)]))
      assert.match(message, /does not permit this user the publish of 'atoll\.shop\.orders\.0'/)
      await log.close()
    }))

  it('says that JetStream is off', () =>
    withNatsServer(async (server) => {
      await server.start('')
      const log = await createNatsLog({ servers: server.url, system: 'shop', host })
      assert.match(await refusal(log.append('orders', [createRecord('orders', 0, 1)])), /JetStream is not enabled/)
      assert.match(await refusal(log.read('orders', 0, null, 10)), /JetStream is not enabled/)
      const { findings } = await log.examine()
      assert.equal(findings.find(({ name }) => name === 'nats.jetstream')?.verdict, 'breaks')
      await log.close()
    }))

  it('goes over to another server of the list', () =>
    withNatsServer((first) =>
      withNatsServer(async (second) => {
        await second.start()
        const log = await createNatsLog({ servers: [first.url, second.url], system: 'shop', host, limits: impatient })
        await log.append('orders', [createRecord('orders', 0, 1)])
        await log.close()
      }),
    ))
})
