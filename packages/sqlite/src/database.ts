import { existsSync, statSync } from 'node:fs'
import { AtollError } from '@atoll/host'
import BetterSqlite3 from 'better-sqlite3'
import { corrupt, toAtollError } from './errors.ts'
import { keepDatabasePrivate } from './private.ts'

export type Database = BetterSqlite3.Database
export type Statement = BetterSqlite3.Statement

export interface DatabaseOptions {
  /** Marks the file as one of ours, of one kind. A file of another kind is refused. */
  applicationId: number
  /** What this code reads and writes. A file with a higher one is refused. */
  formatVersion: number
  /** For reading committed state beside the writer. The file must be there. */
  readonly?: boolean
  /**
   * Looks at an existing file through a connection that cannot write; what it throws refuses the file, before anything
   * was touched.
   */
  inspect?: (database: Database) => void
}

/**
 * Opens a SQLite file so that a commit that returned survives the loss of power, or creates it. `':memory:'` is a
 * database without a file.
 *
 * A file that is damaged (STORE_CORRUPT), of another kind (STORE_CORRUPT) or from a newer version (STORE_NEWER) is
 * refused before anything is written to it. From then on the file, and what lies beside it, is its owner's alone.
 */
export function openDatabase(file: string, options: DatabaseOptions): Database {
  const { readonly = false } = options
  try {
    const isThere = file !== ':memory:' && existsSync(file) && !isBlank(file)
    const version = isThere && !readonly ? inspect(file, options) : 0
    if (file !== ':memory:' && !readonly) keepDatabasePrivate(file)
    const database = new BetterSqlite3(file, { readonly, fileMustExist: readonly })
    try {
      setUp(database, readonly)
      if (!readonly) makeDurable(database, file)
      if (!readonly && version < options.formatVersion) sign(database, options)
    } catch (error) {
      database.close()
      throw error
    }
    return database
  } catch (error) {
    throw toAtollError(error, file)
  }
}

/**
 * What a process that dies leaves of a database in memory: its committed state, in a new one. The old one is closed, so
 * that nothing that still holds it gets any further. For tests.
 */
export function leaveBehind(database: Database): Database {
  if (database.inTransaction) database.exec('ROLLBACK')
  const left = openCopy(database.serialize())
  database.close()
  return left
}

/**
 * What is in a database in memory, as the bytes of its file would be; undefined in the midst of a transaction, which
 * would be in it by half. For tests.
 */
export function copyOf(database: Database): Uint8Array | undefined {
  return database.inTransaction ? undefined : database.serialize()
}

/** A database in memory with what a copy has. For tests. */
export function openCopy(copy: Uint8Array): Database {
  const database = new BetterSqlite3(Buffer.from(copy)) // its own bytes: SQLite writes into them
  setUp(database, false)
  return database
}

function setUp(database: Database, readonly: boolean): void {
  database.pragma('busy_timeout = 5000')
  database.pragma(`cache_size = -${readonly ? READER_CACHE_KIB : WRITER_CACHE_KIB}`)
  database.pragma('foreign_keys = ON')
}

/** Created, and nothing written yet. */
function isBlank(file: string): boolean {
  return statSync(file).size === 0 && !existsSync(`${file}-wal`)
}

/** Whether there are commits beside the file that it may not have yet. */
function hasWal(file: string): boolean {
  return (statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0
}

/**
 * This build of SQLite opens an existing WAL file with synchronous=NORMAL, which loses commits when the power goes, and
 * says nothing. So it is set on every open, and read back.
 */
function makeDurable(database: Database, file: string): void {
  if (file === ':memory:') return
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  database.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
  // there, an fsync alone leaves data in the drive's cache
  if (process.platform === 'darwin') database.pragma('fullfsync = ON')
  const journal = database.pragma('journal_mode', { simple: true })
  const synchronous = database.pragma('synchronous', { simple: true })
  if (journal !== 'wal' || synchronous !== FULL) {
    throw new AtollError(
      'STORE_NOT_DURABLE',
      `${file} has journal_mode ${journal} and synchronous ${synchronous}; wal and ${FULL} are needed. Use a local file system`,
    )
  }
}

/** Says in a file what it is. Only when it is new to this format, because that is a commit. */
function sign(database: Database, { applicationId, formatVersion }: DatabaseOptions): void {
  database.exec('BEGIN IMMEDIATE')
  database.pragma(`application_id = ${applicationId}`)
  database.pragma(`user_version = ${formatVersion}`)
  database.exec('COMMIT')
}

/**
 * Looks at a file through a connection that cannot write, which leaves its bytes, and those of its write-ahead log, as
 * they are. Returns the format it has; 0 for one that was created by a process that got no further.
 */
function inspect(file: string, options: DatabaseOptions): number {
  const database = new BetterSqlite3(file, { readonly: true, fileMustExist: true })
  try {
    const id = database.pragma('application_id', { simple: true })
    const version = Number(database.pragma('user_version', { simple: true }))
    if (id === 0 && database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() === 0) return 0
    if (id !== options.applicationId) throw corrupt(file, 'it is a database of something else')
    if (version > options.formatVersion) {
      throw new AtollError(
        'STORE_NEWER',
        `${file} has format ${version}, and this version knows ${options.formatVersion} at the most. It was not touched: run the newer version`,
      )
    }
    const { size } = statSync(file)
    // SQLite would read what is cut off from a page as zeroes. A write-ahead log has that page whole, and a checkpoint
    // was cut short.
    if (size % Number(database.pragma('page_size', { simple: true })) !== 0 && !hasWal(file))
      throw corrupt(file, 'it ends in the midst of a page')
    if (size <= CHECKED_BYTES_MAX) {
      const problem = database.pragma('quick_check(1)', { simple: true })
      if (problem !== 'ok') throw corrupt(file, String(problem))
    }
    options.inspect?.(database)
    return version
  } finally {
    database.close()
  }
}

/** Of `PRAGMA synchronous`. */
const FULL = 2
/**
 * Page cache per connection, an upper bound; pages are taken as needed. A system has two connections per store, and
 * many stores. Half of it costs a writer a tenth of its inserts in random order; a reader finds its pages in the
 * operating system's cache.
 */
const WRITER_CACHE_KIB = 4_096
const READER_CACHE_KIB = 2_048
/**
 * Pages in the WAL at which a commit also checkpoints: 4,000 × 4 KiB. Smaller makes more of them, larger makes recovery
 * slower.
 */
const CHECKPOINT_PAGES = 4_000
/**
 * Files up to this size are read through at every start, in about 50 ms. Larger ones are checked as they are read: a
 * killed process and a lost power leave no damage in them, so the only damage to look for is the disk's, and it may
 * come at any time.
 */
const CHECKED_BYTES_MAX = 32 * 2 ** 20
