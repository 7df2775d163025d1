import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { engineUrl, findPorts } from '@atoll/engines'
import { until } from '@atoll/engines/waiting'
import { fixtureShop, inFleet, type Environment, type Fleet } from '../../test/fleet.ts'
import { removeSystem } from '../../test/removal.ts'

/** A fleet of a system with a name of its own, and the environment of its processes. */
async function inTown(work: (fleet: Fleet, env: Environment) => Promise<void>): Promise<void> {
  const system = `test-${randomBytes(6).toString('hex')}`
  const accept = process.env['ATOLL_ACCEPT']
  try {
    await inFleet((fleet) =>
      work(fleet, {
        FIXTURE_NAME: system,
        BROKEN: join(fleet.folder, 'broken'),
        ATOLL_LOG_URL: engineUrl('postgres'),
        ATOLL_RUNTIME_ATTEMPTS_MAX: '1',
        ...(accept !== undefined && { ATOLL_ACCEPT: accept }),
      }),
    )
  } finally {
    await removeSystem(system)
  }
}

function order(url: string, sku: string): Promise<Response> {
  return fetch(`${url}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sku, count: 1 }),
  })
}

describe('looking after processes over PostgreSQL', () => {
  it('finds what atoll up runs without being told anything: the ledger, a redrive, a rebuild', () =>
    inTown(async ({ start, run, folder }, { FIXTURE_NAME, BROKEN, ...env }) => {
      // set above; the secret is the one that it makes
      const name = { FIXTURE_NAME: FIXTURE_NAME!, BROKEN: BROKEN!, ATOLL_CALLS_SECRET: '' }
      const up = start(['up', fixtureShop, '--port', '0'], { ...name, ...env, ATOLL_STORE_URL: engineUrl('postgres') })
      const { gatewayUrl } = await up.ready()
      writeFileSync(BROKEN!, '')
      await until(
        'the gateway has heard of everybody, too',
        async () => (await order(gatewayUrl!, 'tea')).status === 200,
      )
      assert.equal((await order(gatewayUrl!, 'broken')).status, 200)
      await until('it is dead', async () => /"dead":1/.test((await run(['ledger', '--json'], name)).out))
      rmSync(BROKEN!)
      const redriven = await run(['dead-letters', 'redrive'], name)
      assert.deepEqual([redriven.code, /1 handled, 0 failed/.test(redriven.out)], [0, true], redriven.err)
      const rebuilt = await run(['replay', 'warehouse.shelves'], name)
      assert.match(rebuilt.out, /^warehouse\.shelves rebuilt from 2 events/, rebuilt.err)
      const { code, out } = await run(['ledger'], name)
      assert.deepEqual([code, /✓ {2}order\.placed {2}warehouse +2 +2 +0 +0 +0/.test(out)], [0, true], out)
      assert.equal((await up.end('SIGINT')).code, 0)
      assert.ok(!existsSync(join(folder, 'data', FIXTURE_NAME!, 'control.json')))
    }))

  it('asks the process that has a folder for what it has, and shows no account of what it cannot see', () =>
    inTown(async ({ start, run, folder }, env) => {
      const ports = { shop: await findPorts(1), warehouse: await findPorts(1) }
      const shared = {
        ...env,
        ATOLL_SYSTEM: fixtureShop,
        ATOLL_DISCOVERY_STATIC: `shop=http://127.0.0.1:${ports.shop};warehouse=http://127.0.0.1:${ports.warehouse}`,
      }
      const of = (service: 'shop' | 'warehouse'): Environment => ({
        ...shared,
        ATOLL_STORE_URL: `sqlite:data/${service}`,
        ATOLL_CALLS_PORT: String(ports[service]),
      })
      const running = (['shop', 'warehouse'] as const).map((service) =>
        start(['start', '--service', service], of(service)),
      )
      const gateway = start(['start', '--gateway', '--port', '0'], shared)
      for (const one of running) await one.ready()
      const { gatewayUrl } = await gateway.ready()
      writeFileSync(env['BROKEN']!, '')
      await until('it takes orders', async () => (await order(gatewayUrl!, 'broken')).status === 200)
      const letters = async (): Promise<string> => (await run(['dead-letters', '--data', 'data/warehouse'], env)).out
      await until('it is dead', async () => /order\.placed +broken/.test(await letters()))

      // the log alone has them
      assert.match((await run(['events', '--key', 'broken'], shared)).out, /order\.placed v1 {2}broken/)
      for (const [args, environment, why] of [
        [['ledger'], shared, /CONFIG_INVALID: there is no store of shop, warehouse in /],
        [['ledger'], of('warehouse'), /UNAVAILABLE: .*needs what shop published, and shop runs elsewhere/],
        [
          ['ledger', '--data', 'data/warehouse'],
          env,
          /UNAVAILABLE: .*needs what shop published, and shop runs elsewhere/,
        ],
      ] as const) {
        const { code, out, err } = await run(args, environment)
        assert.deepEqual([code === 0, out], [false, ''], err)
        assert.match(err, why)
      }
      for (const name of ['shop.db', 'warehouse.db'])
        assert.ok(!existsSync(join(folder, 'data', env['FIXTURE_NAME']!, name)))
      assert.ok(!existsSync(join(folder, 'data/warehouse/shop.db')))

      rmSync(env['BROKEN']!)
      const redriven = await run(['dead-letters', 'redrive', '--data', 'data/warehouse'], env)
      assert.deepEqual([redriven.code, /[1-9] handled, 0 failed/.test(redriven.out)], [0, true], redriven.err)
      for (const one of [gateway, ...running]) assert.equal((await one.end()).code, 0)
      const stopped = await run(['ledger'], of('warehouse'))
      assert.deepEqual(
        [stopped.code, stopped.out, /there is no store of shop in .*data\/warehouse/.test(stopped.err)],
        [2, '', true],
        stopped.err,
      )
    }))
})
