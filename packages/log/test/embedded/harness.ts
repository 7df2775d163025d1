import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNodeHost } from '@atoll/host/node'
import { openDatabase, type Database } from '@atoll/sqlite'
import type { LogHarness } from '../../src/conformance.ts'
import type { Log } from '../../src/driver.ts'
import { openEmbeddedLog } from '../../src/drivers/embedded/driver.ts'
import { applicationId, formatVersion, tables } from '../../src/drivers/embedded/format.ts'
import { defaultLimits, type EmbeddedLogLimits } from '../../src/drivers/embedded/limits.ts'
import { ThreadWriter } from '../../src/drivers/embedded/thread.ts'
import { DirectWriter } from '../../src/drivers/embedded/writer.ts'
import { stopWrites } from './world.ts'

/** Worlds of embedded logs, each with a file in a folder of its own, written here or by a thread, or with none. */
export function createEmbeddedHarness(
  kind: 'file' | 'thread' | 'memory',
  limits: Partial<EmbeddedLogLimits> = {},
): LogHarness {
  const persistent = kind !== 'memory'
  return {
    capabilities: {
      checksAppends: true,
      persistent,
      canBeDurable: persistent,
      dataBytesMax: limits.dataBytesMax ?? defaultLimits.dataBytesMax,
    },
    // What stops writes is a setting of the connection that writes, and that of a thread is out of reach.
    faults: { file: ['stopWrites', 'crash'] as const, thread: ['crash'] as const, memory: ['stopWrites'] as const }[
      kind
    ],
    pause: () => new Promise((resolve) => setImmediate(resolve)),

    async open() {
      const folder = mkdtempSync(join(tmpdir(), 'atoll-log-'))
      const opened: Log[] = []
      let database: Database

      async function openFile(name: string): Promise<Log> {
        const file = persistent ? join(folder, name) : ':memory:'
        database = openDatabase(file, { applicationId, formatVersion })
        database.exec(tables)
        const writer = kind === 'thread' ? await ThreadWriter.start(file) : new DirectWriter(database, file)
        const log = openEmbeddedLog(database, writer, file, createNodeHost(), { ...defaultLimits, ...limits })
        opened.push(log)
        return log
      }

      return {
        log: await openFile('log.db'),
        reopen: () => openFile('log.db'),

        stopWrites: () => stopWrites(database),

        // What a killed process leaves behind is the database and its write-ahead log, as they are.
        async crash() {
          for (const suffix of ['', '-wal']) {
            if (existsSync(join(folder, `log.db${suffix}`)))
              copyFileSync(join(folder, `log.db${suffix}`), join(folder, `crashed.db${suffix}`))
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
