import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '@atoll/engines/waiting'
import { silentLogger, type Host } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { dnsDiscovery } from './dns.ts'

type Addresses = readonly { address: string; family: number }[]

/** A discovery whose names are what the test says, asked for whenever it likes. */
function discover(
  template: string,
  answer: () => Addresses,
): { discovery: ReturnType<typeof dnsDiscovery>; look(): Promise<void>; asked: string[] } {
  let next: (() => void) | undefined
  const host: Host = {
    ...createNodeHost(),
    after: (_, callback) => ((next = callback), { cancel: () => (next = undefined) }),
  }
  const asked: string[] = []
  const resolver = {
    addresses: async (name: string) => (asked.push(name), answer()),
    services: async (name: string) => (
      asked.push(name),
      answer().map(({ address, family }) => ({ name: address, port: family }))
    ),
  }
  const discovery = dnsDiscovery({ host, logger: silentLogger, template, services: ['shelf'], resolver })
  const rested = (): Promise<void> => until('it rests', () => next !== undefined)
  return {
    discovery,
    asked,
    async look() {
      await rested()
      const look = next!
      next = undefined
      look()
      await rested()
    },
  }
}

const failing = (code: string): Addresses => {
  throw Object.assign(new Error(code), { code })
}

describe('discovery by DNS', () => {
  it('takes every address of a name as an instance, and hears who came and who went', async () => {
    let answer: () => Addresses = () => [
      { address: '10.0.0.2', family: 4 },
      { address: 'fd00::1', family: 6 },
      { address: '10.0.0.2', family: 4 },
    ]
    const { discovery, look, asked } = discover('http://{service}.shop.svc:4100', () => answer())
    assert.match(discovery.problem!, /not answered/)
    let told = 0
    discovery.watch(() => told++)
    await look()
    assert.deepEqual(
      discovery.instances('shelf').map(({ url }) => url),
      ['http://10.0.0.2:4100', 'http://[fd00::1]:4100'],
    )
    assert.deepEqual([discovery.problem, told, asked[0]], [undefined, 1, 'shelf.shop.svc'])
    answer = () => [{ address: '10.0.0.3', family: 4 }]
    await look()
    assert.deepEqual([discovery.instances('shelf').map(({ url }) => url), told], [['http://10.0.0.3:4100'], 2])
    await look()
    assert.equal(told, 2)
    answer = () => failing('ENOTFOUND')
    await look()
    assert.deepEqual([discovery.instances('shelf'), told], [[], 3])
    await discovery.close()
  })

  it('keeps the last answer while DNS itself is out', async () => {
    let answer: () => Addresses = () => failing('EAI_AGAIN')
    const { discovery, look } = discover('http://{service}:4100', () => answer())
    await look()
    assert.match(discovery.problem!, /EAI_AGAIN/)
    answer = () => [{ address: '10.0.0.2', family: 4 }]
    await look()
    answer = () => failing('EAI_AGAIN')
    await look()
    assert.deepEqual([discovery.instances('shelf').length, discovery.problem], [1, undefined])
  })

  it('takes names and ports from SRV', async () => {
    const { discovery, look, asked } = discover('srv://_calls._tcp.{service}.shop', () => [
      { address: 'a.shop', family: 4101 },
    ])
    await look()
    assert.deepEqual(
      [discovery.instances('shelf'), asked[0]],
      [[{ id: 'a.shop:4101', url: 'http://a.shop:4101' }], '_calls._tcp.shelf.shop'],
    )
  })

  it('refuses a template that names no service', () => {
    for (const template of ['http://shop:4100', 'shop/{service}', 'https://{service}:1', '']) {
      assert.throws(() => discover(template, () => []), /CONFIG_INVALID: .*does not say where services are found/)
    }
  })
})
