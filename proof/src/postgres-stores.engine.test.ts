import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { silentLogger } from '@atoll/host'
import { createMemoryLog } from '@atoll/log/memory'
import type { System } from 'atoll'
import { openSystem } from 'atoll/runtime'
import conduit from './conduit/system.ts'
import hello from '../../examples/hello/system.ts'
import orders from '../../examples/orders/system.ts'
import bank, { nextSystem } from './bank/system.ts'
import { onPostgres } from './postgres.ts'

const systems: Readonly<Record<string, readonly System[]>> = {
  conduit: [conduit],
  hello: [hello],
  orders: [orders],
  bank: [bank, nextSystem],
}

describe('migrations that were written for SQLite', () => {
  for (const [name, versions] of Object.entries(systems)) {
    it(`of ${name} and of the runtime run on PostgreSQL as they are, and are there when it is opened again`, () =>
      onPostgres(async ({ host, stores, opened }) => {
        const log = createMemoryLog()
        const ports = { host, log, logger: silentLogger, stores }
        try {
          for (const system of [...versions, versions.at(-1)!]) await (await openSystem(system, ports)).close()
          assert.ok(opened.length >= versions[0]!.services.length * 2, opened.join())
        } finally {
          await log.close()
        }
      }))
  }
})
