import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { createMemoryLog } from '@atoll/log/memory'
import { openPool, quoteIdentifier } from '@atoll/postgres'
import { createPostgresStores } from '@atoll/store/postgres'
import type { System } from 'atoll'
import { openSystem } from 'atoll/runtime'
import conduit from './conduit/system.ts'
import hello from '../../examples/hello/system.ts'
import orders from '../../examples/orders/system.ts'
import bank, { nextSystem } from './bank/system.ts'

const systems: Readonly<Record<string, readonly System[]>> = { conduit: [conduit], hello: [hello], orders: [orders], bank: [bank, nextSystem] }

describe('migrations that were written for SQLite', () => {
  for (const [name, versions] of Object.entries(systems)) {
    it(`of ${name} and of the runtime run on PostgreSQL as they are, and are there when it is opened again`, async () => {
      const [host, log] = [createNodeHost(), createMemoryLog()]
      const [url, prefix] = [engineUrl('postgres'), `test-${randomBytes(6).toString('hex')}`]
      const stores = createPostgresStores({ url, system: prefix, host })
      const keepAlive = setInterval(() => {}, 2 ** 30) // the driver's own timers do not
      const opened: string[] = []
      const ports = { host, log, logger: silentLogger, stores: { ...stores, open: (...args: Parameters<typeof stores.open>) => (opened.push(args[0]), stores.open(...args)) } }
      try {
        for (const system of [...versions, versions.at(-1)!]) await (await openSystem(system, ports)).close()
        assert.ok(opened.length >= versions[0]!.services.length * 2, opened.join())
      } finally {
        for (const store of new Set(opened)) await stores.remove(store)
        await stores.close()
        await log.close()
        const admin = openPool({ url, host, applicationName: 'tests', connectionsMax: 1 })
        for (const role of new Set(opened.map((store) => `${prefix}_${store.split('.')[0]!}`))) await admin.query(`DROP ROLE ${quoteIdentifier(role)}`)
        await admin.close()
        clearInterval(keepAlive)
      }
    })
  }
})
