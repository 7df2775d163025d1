import { createNodeHost } from '@atoll/host/node'
import { engineUrl } from '@atoll/engines'
import { openPool, type Pool } from '@atoll/postgres'
import type { Migrations, Statement, Store, StoreDriver } from '../src/driver.ts'
import { createPostgresStores, type PostgresLimits, type PostgresStoresOptions } from '../src/postgres.ts'
import { freshSystem, removeSystem } from './postgres-harness.ts'

/** One system in PostgreSQL, for tests of what only this driver does. */
export interface PostgresWorld {
  readonly system: string
  /** With the rights of the administrator. */
  readonly admin: Pool
  /** Drivers with connections of their own, as other processes would have them; closed with the world. */
  createDriver(options?: {
    url?: string
    limits?: Partial<PostgresLimits>
    system?: string
    expected?: PostgresStoresOptions['expected']
  }): StoreDriver
  /** A store in a driver of its own. */
  open(name: string, migrations?: Migrations, limits?: Partial<PostgresLimits>): Promise<Store>
  schemaOf(store: string): string
}

/** Runs `work` in a world of its own, and removes it. */
export async function inPostgresWorld(
  work: (world: PostgresWorld) => Promise<void>,
  url = engineUrl('postgres'),
): Promise<void> {
  const host = createNodeHost()
  const keepAlive = setInterval(() => {}, 2 ** 30) // a driver's own timers do not
  const system = freshSystem()
  const admin = openPool({ url, host, applicationName: `tests of ${system}`, connectionsMax: 4 })
  const drivers: StoreDriver[] = []
  const world: PostgresWorld = {
    system,
    admin,
    createDriver(options = {}) {
      const driver = createPostgresStores({ url, system, host, ...options })
      drivers.push(driver)
      return driver
    },
    open: (name, migrations = counters, limits = {}) => world.createDriver({ limits }).open(name, migrations),
    schemaOf: (store) => `${system}_${store}`,
  }
  try {
    await work(world)
  } finally {
    await Promise.all(drivers.map((driver) => driver.close()))
    await admin.close()
    await removeSystem(system, url)
    clearInterval(keepAlive)
  }
}

/** Tables that most tests get by with. */
export const counters: Migrations = {
  '0001': `CREATE TABLE counters (name TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT;
           CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL) STRICT`,
}

export const insertCounter: Statement = { sql: 'INSERT INTO counters (name, count) VALUES (?, ?)' }
export const readCounter: Statement = { sql: 'SELECT count FROM counters WHERE name = ?' }
export const setCounter: Statement = { sql: 'UPDATE counters SET count = ? WHERE name = ?' }
export const allCounters: Statement = { sql: 'SELECT name FROM counters ORDER BY name' }
export const emit: Statement = { sql: 'INSERT INTO outbox (body) VALUES (?)' }

/** The names of the counters in a store, as far as they are committed. */
export async function namesIn(store: Store): Promise<string[]> {
  return (await store.reader.all<{ name: string }>(allCounters)).map((row) => row.name)
}
