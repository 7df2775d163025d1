import { existsSync, statSync } from 'node:fs'
import { AtollError } from '@atoll/host'
import BetterSqlite3 from 'better-sqlite3'
import { corrupt, toAtollError } from './errors.ts'

export type Database = BetterSqlite3.Database
export type Statement = BetterSqlite3.Statement

export interface DatabaseOptions {
  /** Marks the file as one of ours, of one kind. A file of another kind is refused. */
  applicationId: number
  /** What this code reads and writes. A file with a higher one is refused. */
  formatVersion: number
  /** For reading committed state beside the writer. The file must be there. */
  readonly?: boolean
}

/**
 * Opens a SQLite file so that a commit that returned survives the loss of power, or creates it. `':memory:'` is a database without a
 * file.
 *
 * A file that is damaged (STORE_CORRUPT), of another kind (STORE_CORRUPT) or from a newer version (STORE_NEWER) is refused before
 * anything is written to it.
 */
export function openDatabase(file: string, options: DatabaseOptions): Database {
  const inMemory = file === ':memory:'
  try {
    if (!inMemory && existsSync(file) && !options.readonly) inspect(file, options)
    const database = new BetterSqlite3(file, { readonly: options.readonly ?? false, fileMustExist: options.readonly ?? false })
    try {
      configure(database, file, options)
    } catch (error) {
      database.close()
      throw error
    }
    return database
  } catch (error) {
    throw toAtollError(error, file)
  }
}

function configure(database: Database, file: string, options: DatabaseOptions): void {
  database.pragma('busy_timeout = 5000')
  database.pragma(`cache_size = -${CACHE_KIB}`)
  database.pragma('foreign_keys = ON')
  if (options.readonly) return
  if (file !== ':memory:') makeDurable(database, file)
  database.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
  database.pragma(`application_id = ${options.applicationId}`)
  database.pragma(`user_version = ${options.formatVersion}`)
}

/**
 * This build of SQLite opens an existing WAL file with synchronous=NORMAL, which loses commits when the power goes, and says nothing.
 * So it is set on every open, and read back.
 */
function makeDurable(database: Database, file: string): void {
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  if (process.platform === 'darwin') database.pragma('fullfsync = ON')
  const journal = database.pragma('journal_mode', { simple: true })
  const synchronous = database.pragma('synchronous', { simple: true })
  if (journal !== 'wal' || synchronous !== FULL) {
    throw new AtollError('STORE_NOT_DURABLE', `${file} has journal_mode ${journal} and synchronous ${synchronous}; wal and ${FULL} are needed. Use a local file system`)
  }
}

/** Looks at a file through a read-only connection, which leaves its bytes as they are. */
function inspect(file: string, { applicationId, formatVersion }: DatabaseOptions): void {
  const bytes = statSync(file).size
  if (bytes === 0 && !existsSync(`${file}-wal`)) return // created, and nothing written yet
  const database = new BetterSqlite3(file, { readonly: true, fileMustExist: true })
  try {
    const found = Number(database.pragma('application_id', { simple: true }))
    const version = Number(database.pragma('user_version', { simple: true }))
    const isEmpty = database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() === 0
    if (found !== applicationId && !(found === 0 && isEmpty)) throw corrupt(file, 'it is not what belongs there')
    if (version > formatVersion) {
      throw new AtollError('STORE_NEWER', `${file} has format ${version}, and this version knows ${formatVersion} at the most. It was not touched: run the newer version`)
    }
    if (bytes <= CHECKED_BYTES_MAX) {
      const [problem] = database.pragma('quick_check(1)', { simple: false }) as { quick_check: string }[]
      if (problem && problem.quick_check !== 'ok') throw corrupt(file, problem.quick_check)
    }
  } finally {
    database.close()
  }
}

/** Of `PRAGMA synchronous`. */
const FULL = 2
/** Page cache per connection, an upper bound; pages are taken as needed. A system has many connections. */
const CACHE_KIB = 4_096
/** Pages in the WAL at which a commit also checkpoints: 4,000 × 4 KiB. Smaller makes more of them, larger makes recovery slower. */
const CHECKPOINT_PAGES = 4_000
/** Files up to this size are read through at every start; it takes about 0.1 s. Larger ones are checked as they are read. */
const CHECKED_BYTES_MAX = 64 * 2 ** 20
