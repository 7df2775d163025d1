import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNodeHost } from '@atoll/host/node'
import { openDatabase, type Database } from '@atoll/sqlite'
import type { LogHarness } from '../src/conformance.ts'
import type { Log } from '../src/driver.ts'
import { openEmbeddedLog } from '../src/drivers/embedded/driver.ts'
import { applicationId, formatVersion } from '../src/drivers/embedded/format.ts'
import { defaultLimits, type EmbeddedLogLimits } from '../src/drivers/embedded/limits.ts'
import { stopWrites } from './embedded-world.ts'

/** Worlds of embedded logs, each with a file in a folder of its own, or with none. */
export function createEmbeddedHarness(kind: 'file' | 'memory', limits: Partial<EmbeddedLogLimits> = {}): LogHarness {
  const persistent = kind === 'file'
  return {
    capabilities: { checksAppends: true, persistent, durable: persistent, dataBytesMax: limits.dataBytesMax ?? defaultLimits.dataBytesMax },
    faults: persistent ? ['stopWrites', 'crash'] : ['stopWrites'],
    pause: () => new Promise((resolve) => setImmediate(resolve)),

    async open() {
      const folder = mkdtempSync(join(tmpdir(), 'atoll-log-'))
      const opened: Log[] = []
      let database: Database

      function openFile(name: string): Log {
        const file = persistent ? join(folder, name) : ':memory:'
        database = openDatabase(file, { applicationId, formatVersion })
        const log = openEmbeddedLog(database, file, createNodeHost(), { ...defaultLimits, ...limits })
        opened.push(log)
        return log
      }

      return {
        log: openFile('log.db'),
        reopen: async () => openFile('log.db'),

        stopWrites: () => stopWrites(database),

        // What a killed process leaves behind is the database and its write-ahead log, as they are.
        async crash() {
          for (const suffix of ['', '-wal']) {
            if (existsSync(join(folder, `log.db${suffix}`))) copyFileSync(join(folder, `log.db${suffix}`), join(folder, `crashed.db${suffix}`))
          }
          return openFile('crashed.db')
        },

        async dispose() {
          for (const log of opened) await log.close()
          rmSync(folder, { recursive: true })
        },
      }
    },
  }
}
