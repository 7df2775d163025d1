import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNodeHost } from '@atoll/host/node'
import type { StoreHarness } from '../src/conformance.ts'
import type { StoreDriver } from '../src/driver.ts'
import { createMemoryFolder, createSqliteStores } from '../src/sqlite.ts'

/** SQLite stores for the suite, as they are or spoilt. */
export function createSqliteHarness(
  kind: 'files' | 'memory' | 'kept-in-memory',
  spoil: (driver: StoreDriver) => StoreDriver = (driver) => driver,
): StoreHarness {
  const onDisk = kind === 'files'
  return {
    capabilities: {
      sql: 'sqlite',
      persistent: kind !== 'memory',
      canBeDurable: onDisk,
      groupsCommits: true,
      writesQueuedMax,
    },
    async open() {
      const folder = onDisk ? mkdtempSync(join(tmpdir(), 'atoll-store-')) : ':memory:'
      const stores = createSqliteStores({
        folder: kind === 'kept-in-memory' ? createMemoryFolder() : folder,
        host: createNodeHost(),
        limits: { writesQueuedMax, groupOpenMs },
      })
      return {
        driver: spoil(stores),
        async dispose() {
          await stores.close()
          if (onDisk) rmSync(folder, { recursive: true, force: true })
        },
      }
    },
    pause: () => new Promise((resolve) => setImmediate(resolve)),
    ...(onDisk ? {} : { deviations: memoryDeviations }),
  }
}

const memoryDeviations = {
  'reader.never-waits': 'a database in memory has one connection, so a reader waits for the commit that is open',
  'readers.joins': 'databases in memory cannot see each other',
}

/** Longer than any machine takes for what a test writes together. */
const groupOpenMs = 60_000
/** Small, so that overload is quick to reach. */
const writesQueuedMax = 20
