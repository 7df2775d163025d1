import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNodeHost } from '@atoll/host/node'
import { openDatabase, type Database } from '@atoll/sqlite'
import type { Log } from '../../src/driver.ts'
import { openEmbeddedLog } from '../../src/drivers/embedded/driver.ts'
import { applicationId, formatVersion, tables } from '../../src/drivers/embedded/format.ts'
import { defaultLimits, type EmbeddedLogLimits } from '../../src/drivers/embedded/limits.ts'
import { DirectWriter } from '../../src/drivers/embedded/writer.ts'

/** An embedded log and the database below it. */
export interface EmbeddedWorld {
  readonly log: Log
  readonly database: Database
  readonly file: string
  /** How many transactions the write-ahead log holds. */
  commitCount(): number
  /** From now on the file cannot grow, until the returned function is called. */
  stopWrites(): () => void
}

/** Runs `body` with a new folder, and removes it. */
export async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-log-'))
  try {
    await body(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Runs `body` with a new log in a file, and closes and removes it. */
export function withLog(
  limits: Partial<EmbeddedLogLimits>,
  body: (world: EmbeddedWorld) => Promise<void>,
): Promise<void> {
  return withFolder(async (folder) => {
    const file = join(folder, 'log.db')
    const database = openDatabase(file, { applicationId, formatVersion })
    database.exec(tables)
    const log = openEmbeddedLog(database, new DirectWriter(database, file), file, createNodeHost(), {
      ...defaultLimits,
      ...limits,
    })
    try {
      await body({
        log,
        database,
        file,
        commitCount: () => countCommits(`${file}-wal`),
        stopWrites: () => stopWrites(database),
      })
    } finally {
      await log.close()
    }
  })
}

/** Makes a database as large as it is now the largest that it may be. */
export function stopWrites(database: Database): () => void {
  database.pragma(`max_page_count = ${String(database.pragma('page_count', { simple: true }))}`)
  return () => void database.pragma(`max_page_count = ${2 ** 31}`)
}

/** In a write-ahead log, the last frame of each transaction names the size of the database; the others name 0. */
function countCommits(walFile: string): number {
  if (!existsSync(walFile)) return 0
  const wal = readFileSync(walFile)
  const frameBytes = 24 + wal.readUInt32BE(8)
  let count = 0
  for (let at = 32; at + frameBytes <= wal.length; at += frameBytes) if (wal.readUInt32BE(at + 4) > 0) count++
  return count
}
