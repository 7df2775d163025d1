import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { until } from '@atoll/engines/waiting'
import { AtollError, silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { inNetwork, type Network, type Playing } from '../../test/network.ts'
import {
  createRegistry,
  registerInstance,
  registryDiscovery,
  type Discovery,
  type Registration,
  type Registry,
} from '../index.ts'
import type { RegistryLimits } from './registry.ts'

const host = createNodeHost()
const secret = 'a secret of the library'
const quick = { checkMs: 20, readyMs: 200, warmUpMs: 1_000 }

interface Town extends Network {
  registry(port?: number, limits?: Partial<RegistryLimits>): Promise<{ registry: Registry; url: string; port: number }>
  register(url: string, playing: Playing, leaseMs?: number): Registration
  discover(url: string): Discovery
}

function inTown(work: (town: Town) => Promise<void>): Promise<void> {
  return inNetwork(async (network) => {
    const closing: (() => unknown)[] = []
    const shared = { host, logger: silentLogger, secret, system: 'library' }
    try {
      await work({
        ...network,
        async registry(port = 0, limits = {}) {
          const registry = createRegistry({ host, logger: silentLogger, secret, limits: { ...quick, ...limits } })
          closing.unshift(() => registry.close())
          return { registry, ...(await registry.listen({ port, host: '127.0.0.1' })) }
        },
        register(url, { instance }, leaseMs) {
          const registration = registerInstance({
            ...shared,
            registry: url,
            id: instance.id,
            url: instance.url,
            services: ['shelf'],
            leaseMs,
          })
          closing.unshift(() => registration.leave())
          return registration
        },
        discover(url) {
          const discovery = registryDiscovery({ ...shared, url })
          closing.unshift(() => discovery.close())
          return discovery
        },
      })
    } finally {
      for (const close of closing) await close()
    }
  })
}

const urls = (discovery: Discovery): string[] =>
  discovery
    .instances('shelf')
    .map(({ url }) => url)
    .sort()

describe('a registry', () => {
  it('lets watchers hear at once who came, who left, and who is not ready', () =>
    inTown(async ({ play, registry, register, discover }) => {
      const { url } = await registry()
      const discovery = discover(url)
      const [one, two] = [await play(() => ({})), await play(() => ({}))]
      register(url, one)
      const leaving = register(url, two)
      await until('both are known', () => urls(discovery).length === 2)
      await leaving.leave()
      await until('one has left', () => urls(discovery).length === 1)
      one.isReady = false
      await until('none is ready', () => urls(discovery).length === 0)
      one.isReady = true
      await until('it is ready again', () => urls(discovery).length === 1)
      assert.deepEqual(discovery.instances('desk'), [])
    }))

  it('forgets an instance that does not renew its lease, and leaves out one that hangs', () =>
    inTown(async ({ play, playSocket, registry, register, discover }) => {
      const { url } = await registry(0, { readyMs: 50 })
      const discovery = discover(url)
      let isHung = false
      const body = '{"ready":true,"system":"library"}'
      const hanging = await playSocket(
        (socket) => void (isHung || socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`)),
      )
      register(url, { instance: hanging } as Playing)
      await until('it is known', () => urls(discovery).length === 1)
      isHung = true
      await until('it is left out, its lease notwithstanding', () => urls(discovery).length === 0)

      const dead = await play(() => ({}))
      const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' }
      const once = await fetch(`${url}/systems/library/instances/once`, {
        method: 'PUT',
        headers,
        body: JSON.stringify({ url: dead.instance.url, services: ['shelf'], leaseMs: 400 }),
      })
      assert.equal(once.status, 200)
      await until('it is known', () => urls(discovery).length === 1)
      await until('its lease has run out', () => urls(discovery).length === 0)
    }))

  it('may be gone: instances go on being called, and a new one forgets nobody while it learns', () =>
    inTown(async ({ play, registry, register, discover }) => {
      const first = await registry()
      const discovery = discover(first.url)
      const playing = await play(() => ({}))
      register(first.url, playing, 300)
      await until('it is known', () => urls(discovery).length === 1)
      await first.registry.close()
      let least = 1
      discovery.watch(() => (least = Math.min(least, urls(discovery).length)))
      const second = await registry(first.port)
      const late = discover(second.url)
      await until('it is known anew', () => urls(late).length === 1)
      assert.deepEqual([urls(discovery), least], [[playing.instance.url], 1])
    }))

  it('says what keeps it from being asked', () =>
    inTown(async ({ nobody, discover, registry, play, register }) => {
      const { url } = await nobody()
      const discovery = discover(url)
      await until('it has been tried', () => /ECONNREFUSED/.test(discovery.problem ?? ''))
      const open = createRegistry({ host, logger: silentLogger })
      await assert.rejects(open.listen({ port: 0, host: '0.0.0.0' }), /CONFIG_INVALID: .*the registry would listen/)
      await assert.rejects(
        open.listen({ port: 0, host: '127.0.0.1' }),
        /CONFIG_INVALID: .*the registry would run without a secret/,
      )
      await open.close()
      assert.throws(() => registryDiscovery({ host, logger: silentLogger, url: 'registry', system: 'x' }), AtollError)
      const { url: full } = await registry(0, { instancesMax: 0 })
      register(full, await play(() => ({})))
      const watching = discover(full)
      await until('it has answered', () => watching.problem === undefined)
      assert.deepEqual(urls(watching), [])
    }))

  it('refuses a wait that is not written in digits, and does not wait for ever for one that is too long to count', () =>
    inTown(async ({ registry }) => {
      const { url } = await registry()
      const look = (query: string): Promise<Response> =>
        fetch(`${url}/systems/library/instances${query}`, { headers: { authorization: `Bearer ${secret}` } })
      for (const waitMs of ['', '%20', '-1', '1e3', '0x10', '1.5', '%2B1', 'Infinity', 'soon', '1%20']) {
        const answer = await look(`?waitMs=${waitMs}`)
        const { code, message } = (await answer.json()) as { code?: string; message?: string }
        assert.deepEqual([answer.status, code, /waitMs/.test(message ?? '')], [400, 'MALFORMED', true], waitMs)
      }
      for (const query of ['', '?waitMs=0', '?waitMs=25000', `?waitMs=${'9'.repeat(400)}`])
        assert.equal((await look(query)).status, 200, query)
    }))

  it('keeps systems apart, and takes in who knows the secret alone', () =>
    inTown(async ({ play, registry, register, discover }) => {
      const { url } = await registry()
      const other = registryDiscovery({
        host,
        logger: silentLogger,
        url,
        secret: 'another secret of 16',
        system: 'library',
      })
      await until('it was refused', () => /secret/.test(other.problem ?? ''))
      await other.close()
      const discovery = discover(url)
      const { instance } = await play(() => ({}))
      const known = register(url, { instance } as Playing)
      await until('it is known', () => urls(discovery).length === 1)
      const path = `${url}/systems/library/instances`
      const json = { 'content-type': 'application/json' }
      const asStranger = async (path: string, method: string, body?: object): Promise<number> =>
        (await fetch(path, { method, ...(body && { headers: json, body: JSON.stringify(body) }) })).status
      assert.deepEqual(
        [
          await asStranger(path, 'GET'),
          await asStranger(`${path}/thief`, 'PUT', { url: instance.url, services: ['shelf'], leaseMs: 3_000 }),
          await asStranger(`${path}/${instance.id}?url=${instance.url}`, 'DELETE'),
        ],
        [401, 401, 401],
      )
      assert.deepEqual(
        discovery.instances('shelf').map(({ id }) => id),
        [instance.id],
      )
      await known.leave()
    }))
})
