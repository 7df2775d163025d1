import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Host } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import type { Migrations, Statement, StoreDriver } from '../src/driver.ts'
import { SqliteStore } from '../src/drivers/sqlite/store.ts'
import { createSqliteStores, type SqliteLimits } from '../src/sqlite.ts'

/** SQLite stores in a folder of their own, for tests of what only this driver does. */
export interface SqliteWorld {
  readonly folder: string
  readonly driver: StoreDriver
  /** The store `orders`, with a way into the connection of its writer. */
  open(migrations?: Migrations): Promise<SqliteStore>
  fileOf(name: string): string
}

export interface SqliteWorldOptions {
  limits?: Partial<SqliteLimits>
  /** What differs from the real one. */
  host?: Partial<Host>
}

/** Runs `work` in a world of its own, and removes it. */
export async function inSqliteWorld(
  options: SqliteWorldOptions,
  work: (world: SqliteWorld) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-store-'))
  const driver = createSqliteStores({
    folder,
    host: { ...createNodeHost(), ...options.host },
    limits: { ...(options.host?.monotonicMs ? {} : { groupOpenMs }), ...options.limits },
  })
  try {
    await work({
      folder,
      driver,
      async open(migrations = notes) {
        const store = await driver.open('orders', migrations)
        if (!(store instanceof SqliteStore)) throw new Error('this driver opens other stores')
        return store
      },
      fileOf: (name) => join(folder, `${name}.db`),
    })
  } finally {
    await driver.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Longer than any machine takes for what a test writes together, where the test does not hold the clock. */
const groupOpenMs = 60_000

export const notes: Migrations = { '0001-notes': 'CREATE TABLE notes (text TEXT PRIMARY KEY)' }
export const insertNote: Statement = { sql: 'INSERT INTO notes (text) VALUES (?)' }
export const selectNotes: Statement = { sql: 'SELECT text FROM notes ORDER BY text' }
