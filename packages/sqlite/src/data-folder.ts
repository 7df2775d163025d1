import {
  accessSync,
  constants,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { AtollError } from '@atoll/host'
import BetterSqlite3 from 'better-sqlite3'
import type { Database } from './database.ts'
import { toAtollError } from './errors.ts'
import { ownFile } from './ours.ts'
import { FOLDER_MODE, keepDatabasePrivate, keepFolderPrivate, writePrivately } from './private.ts'

/** A folder that this process alone may use, until it closes it or ends. */
export interface DataFolder {
  readonly path: string
  /** Lets others have it. Idempotent. */
  close(): void
}

/**
 * Takes a data folder, creating it if it is not there; it and what Atoll keeps in it are its owner's alone from then
 * on. DATA_UNUSABLE for what is no folder, or cannot be written; DATA_IN_USE, with the process that has it, if another
 * one does.
 *
 * The lock is an exclusive transaction on a small SQLite file: the operating system ends it with the process, however
 * that ends, so there are no stale locks to clear away.
 */
export function openDataFolder(path: string): DataFolder {
  try {
    if (findDataFolder(path) === undefined) mkdirSync(path, { recursive: true, mode: FOLDER_MODE })
    keepFolderPrivate(path)
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
    const file = join(path, LOCK)
    keepDatabasePrivate(file)
    return hold(path, new BetterSqlite3(file, { timeout: 0 }))
  } catch (error) {
    throw toFolderError(error, path, 'written')
  }
}

/**
 * What there is of a data folder: the path, or undefined if nothing is there. DATA_UNUSABLE for a file, for a link to
 * nothing, and for what cannot be read.
 */
export function findDataFolder(path: string): string | undefined {
  try {
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (!found) return undefined
    const meant = statSync(path, { throwIfNoEntry: false })
    if (!meant) throw unusable(path, `is a link to ${readlinkSync(path)}, which is not there`)
    if (!meant.isDirectory()) throw unusable(path, 'is a file, and not a folder')
    accessSync(path, constants.R_OK | constants.X_OK)
    return path
  } catch (error) {
    throw toFolderError(error, path, 'read')
  }
}

/** Whether this process may write a data folder, and the databases in it. */
export function isWritableFolder(path: string): boolean {
  try {
    for (const one of [path, ...databasesIn(path).map((name) => join(path, name))]) accessSync(one, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Copies the databases of a data folder that may not be written, to look into them elsewhere: SQLite must write beside
 * what it reads. DATA_IN_USE if a process is at work there, or was while they were copied, one file before and another
 * after what it wrote; STORE_FULL if there is no room for them in `into`.
 */
export function copyDataFolder(path: string, into: string): void {
  try {
    assertIdle(path)
    const before = tracesIn(path)
    for (const name of databasesIn(path)) copyFileSync(join(path, name), join(into, name), constants.COPYFILE_FICLONE)
    assertIdle(path)
    if (tracesIn(path) !== before)
      throw new AtollError(
        'DATA_IN_USE',
        `a process was at work in ${path} while it was copied, and the copy may be torn; stop that process, and look again`,
      )
  } catch (error) {
    throw toFolderError(error, path, 'read')
  }
}

function databasesIn(path: string): string[] {
  return readdirSync(path).filter((name) => ownFile(name)?.kind === 'database' && /\.db(-wal)?$/.test(name))
}

/** What whoever works in a folder changes: files come and go in it, as its lock does, and databases are written. */
function tracesIn(path: string): string {
  const traces = [path, ...databasesIn(path).map((name) => join(path, name))].map((one) => {
    const { ino, size, mtimeNs } = statSync(one, { bigint: true })
    return `${one} ${ino} ${size} ${mtimeNs}`
  })
  return traces.join('\n')
}

function hold(path: string, lock: Database): DataFolder {
  const pidFile = join(path, PID)
  try {
    lock.pragma('journal_mode = DELETE')
    lock.exec('BEGIN EXCLUSIVE')
    writePrivately(pidFile, `${process.pid}\n`)
  } catch (error) {
    lock.close()
    throw isBusy(error) ? inUse(path, error) : error
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

/**
 * A folder is held until it is closed, also by those who keep no reference to it: the garbage collector would give its
 * lock away.
 */
const held = new Set<Database>()

/**
 * Throws DATA_IN_USE if a process has a data folder: where a lock cannot be taken, whether somebody has it can still be
 * seen.
 */
export function assertIdle(path: string): void {
  let lock: Database
  try {
    lock = new BetterSqlite3(join(path, LOCK), { readonly: true, fileMustExist: true, timeout: 0 })
  } catch {
    return // nobody has ever had it
  }
  try {
    lock.prepare('SELECT count(*) FROM sqlite_schema').get()
  } catch (error) {
    if (isBusy(error)) throw inUse(path, error)
  } finally {
    lock.close()
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof BetterSqlite3.SqliteError && error.code.startsWith('SQLITE_BUSY')
}

function inUse(path: string, cause: unknown): AtollError {
  const pid = holderOf(path)
  const lock = join(path, LOCK)
  if (pid !== undefined && isAlive(pid))
    return new AtollError('DATA_IN_USE', `${path} is in use by process ${pid}; stop it, or use another folder`, {
      cause,
      details: { pid },
    })
  const who =
    pid === undefined
      ? 'a process that does not say who it is'
      : `process ${pid}, which cannot be seen from here (of another container?)`
  return new AtollError(
    'DATA_IN_USE',
    `${path} is in use by ${who}, or a program that is not Atoll's has ${lock} open; find out which (fuser ${lock}) and stop it, or use another folder`,
    { cause },
  )
}

function holderOf(path: string): number | undefined {
  try {
    const [, pid] = /^([1-9]\d{0,9})\n$/.exec(readFileSync(join(path, PID), 'utf8')) ?? []
    return pid === undefined ? undefined : Number(pid)
  } catch {
    return undefined // it has the lock and has not said yet, in words that we know, who it is
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM' // another account's
  }
}

/** What the operating system, or SQLite, says of a folder, as a person would. */
function toFolderError(error: unknown, path: string, how: 'read' | 'written'): AtollError {
  if (error instanceof AtollError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const reason = reasons[code]
  return reason === undefined ? toAtollError(error, path) : unusable(path, reason.replace('%', how), error)
}

function unusable(path: string, why: string, cause?: unknown): AtollError {
  return new AtollError(
    'DATA_UNUSABLE',
    `the data folder ${path} ${why}. Mend that, or name another folder (--data, store.url)`,
    { cause },
  )
}

const notAllowed = 'may not be % by this account'
const reasons: Readonly<Record<string, string>> = {
  ENOTDIR: 'lies below a file, and not in a folder',
  EEXIST: 'is there already, and is no folder',
  ENOENT: 'lies below a link to nothing',
  EACCES: notAllowed,
  EPERM: notAllowed,
  EROFS: 'lies on a file system that may only be read',
  SQLITE_READONLY: notAllowed,
  SQLITE_CANTOPEN: notAllowed,
  ELOOP: 'is a link that leads back to itself',
  ENAMETOOLONG: 'has a name that is too long',
}

const LOCK = 'lock'
const PID = 'lock.pid'
