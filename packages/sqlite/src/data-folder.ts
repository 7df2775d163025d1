import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AtollError } from '@atoll/host'
import BetterSqlite3 from 'better-sqlite3'
import type { Database } from './database.ts'
import { toAtollError } from './errors.ts'

/** A folder that this process alone may use, until it closes it or ends. */
export interface DataFolder {
  readonly path: string
  /** Lets others have it. Idempotent. */
  close(): void
}

/**
 * Takes a data folder, creating it if it is not there. DATA_IN_USE, with the process that has it, if another one does.
 *
 * The lock is an exclusive transaction on a small SQLite file: the operating system ends it with the process, however that ends, so
 * there are no stale locks to clear away.
 */
export function openDataFolder(path: string): DataFolder {
  try {
    mkdirSync(path, { recursive: true })
    return hold(path, new BetterSqlite3(join(path, 'lock'), { timeout: 0 }))
  } catch (error) {
    throw toAtollError(error, path)
  }
}

function hold(path: string, lock: Database): DataFolder {
  const pidFile = join(path, 'lock.pid')
  try {
    lock.pragma('journal_mode = DELETE')
    lock.exec('BEGIN EXCLUSIVE')
    writeFileSync(pidFile, `${process.pid}\n`)
  } catch (error) {
    lock.close()
    if (!(error instanceof BetterSqlite3.SqliteError && error.code.startsWith('SQLITE_BUSY'))) throw error
    throw new AtollError('DATA_IN_USE', `${path} is in use by process ${holderOf(pidFile)}; stop it, or use another folder`, { cause: error })
  }
  held.add(lock)
  return {
    path,
    close() {
      if (!held.delete(lock)) return
      rmSync(pidFile, { force: true })
      lock.close()
    },
  }
}

/** A folder is held until it is closed, also by those who keep no reference to it: the garbage collector would give its lock away. */
const held = new Set<Database>()

function holderOf(pidFile: string): string {
  try {
    return readFileSync(pidFile, 'utf8').trim()
  } catch {
    return 'unknown' // it has the lock and has not yet said who it is
  }
}
