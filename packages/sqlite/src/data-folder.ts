import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AtollError } from '@atoll/host'
import BetterSqlite3 from 'better-sqlite3'

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
  mkdirSync(path, { recursive: true })
  const pidFile = join(path, 'lock.pid')
  const lock = new BetterSqlite3(join(path, 'lock'), { timeout: 0 })
  try {
    lock.pragma('journal_mode = DELETE')
    lock.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    throw new AtollError('DATA_IN_USE', `${path} is in use by process ${holderOf(pidFile)}; stop it, or use another folder`, { cause: error })
  }
  writeFileSync(pidFile, `${process.pid}\n`)
  return { path, close: () => void lock.close() }
}

function holderOf(pidFile: string): string {
  try {
    return readFileSync(pidFile, 'utf8').trim()
  } catch {
    return 'unknown' // it has the lock and has not yet said who it is
  }
}
