import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { AtollError, type Examination, type Host } from '@atoll/host'
import { copyOf, examineSqlite, FOLDER_MODE, leaveBehind, openCopy, openDatabase, type Database } from '@atoll/sqlite'
import type { Migrations, Reader, Store, StoreCapabilities, StoreDriver } from '../../driver.ts'
import { assertName, refuseTwins } from '../../refusals.ts'
import { Connection } from './connection.ts'
import { defaultLimits, type SqliteLimits } from './limits.ts'
import { checkMigrations, migrate } from './migrate.ts'
import { FileReader, MemoryReader } from './reader.ts'
import { defersConstraints, meaningOf } from './sql.ts'
import { SqliteStore } from './store.ts'
import { Writer } from './writer.ts'

export interface SqliteStoresOptions {
  /**
   * Where the files lie, one per store. For tests there are two kinds of stores without files: of `':memory:'`, gone
   * when they are closed; and of {@link createMemoryFolder}, still there when they are opened again.
   */
  folder: string | MemoryFolder
  host: Host
  /** Only what differs from {@link defaultLimits}. */
  limits?: Partial<SqliteLimits>
}

/** Stores as SQLite files in one folder, which this process must have for itself. */
export function createSqliteStores(options: SqliteStoresOptions): StoreDriver {
  return new SqliteStores(options.folder, options.host, { ...defaultLimits, ...options.limits })
}

/** Stores in memory that are still there when they are opened again, also by another driver. */
export interface MemoryFolder {
  /** By the name of the store. */
  readonly databases: Map<string, Database>
  /**
   * The process that has a store open dies: what it has not committed is undone, and what still runs of it is cut off.
   */
  crash(name: string): void
  /** What is in a store, to be kept beside it; undefined in the midst of a commit. */
  copy(name: string): Uint8Array | undefined
  /** Puts a copy in the place of a store that no driver has open; undefined: the store is gone. */
  replace(name: string, copy: Uint8Array | undefined): void
}

/** An empty one. What is in it lives as long as it does. */
export function createMemoryFolder(): MemoryFolder {
  const databases = new Map<string, Database>()
  return {
    databases,
    crash(name) {
      const database = databases.get(name)
      if (database) databases.set(name, leaveBehind(database))
    },
    copy(name) {
      const database = databases.get(name)
      if (!database)
        throw new AtollError(
          'NOT_FOUND',
          `there is no store ${name} in this folder; there are ${[...databases.keys()].join(', ')}`,
        )
      return copyOf(database)
    },
    replace(name, copy) {
      databases.get(name)?.close()
      if (copy) databases.set(name, openCopy(copy))
      else databases.delete(name)
    },
  }
}

class SqliteStores implements StoreDriver {
  readonly capabilities: StoreCapabilities
  readonly #folder: string
  readonly #memory: MemoryFolder | undefined
  readonly #host: Host
  readonly #limits: SqliteLimits
  readonly #open = new Map<string, SqliteStore>()
  /** Those over several stores, which belong to none of them. */
  readonly #readers = new Set<Reader>()

  constructor(folder: string | MemoryFolder, host: Host, limits: SqliteLimits) {
    this.#folder = typeof folder === 'string' ? folder : ':memory:'
    this.#memory = typeof folder === 'string' ? undefined : folder
    this.#host = host
    this.#limits = limits
    const onDisk = this.#folder !== ':memory:'
    this.capabilities = {
      sql: 'sqlite',
      persistent: onDisk || this.#memory !== undefined,
      canBeDurable: onDisk,
      groupsCommits: true,
      writesQueuedMax: limits.writesQueuedMax,
    }
  }

  readonly open = async (name: string, migrations: Migrations): Promise<Store> => {
    if (this.#open.has(name))
      throw new AtollError('DATA_IN_USE', `store ${name} is open already; a store has one owner`)
    const file = this.#fileOf(name)
    if (!this.#inMemory) mkdirSync(this.#folder, { recursive: true, mode: FOLDER_MODE })
    const inspect = (existing: Database): void => checkMigrations(existing, file, migrations, this.#host)
    const kept = this.#memory?.databases.get(name)
    if (kept) inspect(kept)
    const database = kept ?? openDatabase(file, { applicationId, formatVersion, inspect })
    this.#memory?.databases.set(name, database)
    try {
      migrate(database, file, migrations, this.#host)
      // Savepoints keep what they may have to undo in memory. Set only now, because a migration may sort more than
      // there is memory.
      database.pragma('temp_store = MEMORY')
      const connection = new Connection(database, file)
      const writer = new Writer(
        connection,
        this.#host,
        checksAtCommit(database) ? { ...this.#limits, groupWritesMax: 1 } : this.#limits,
      )
      const reader = this.#inMemory ? new MemoryReader([{ connection, writer }]) : new FileReader(openReadonly(file))
      const store = new SqliteStore(name, connection, writer, reader, () => {
        this.#open.delete(name)
        if (!this.#memory) database.close()
      })
      this.#open.set(name, store)
      return store
    } catch (error) {
      if (!kept) {
        database.close()
        this.#memory?.databases.delete(name)
      }
      throw error
    }
  }

  readonly openReader = (names: readonly string[]): Reader => {
    const stores = names.map((name) => this.#require(name))
    const [first, ...others] = stores
    if (!first) throw new AtollError('UNSUPPORTED', 'a reader needs at least one store')
    if (stores.length > READER_STORES_MAX) {
      throw new AtollError(
        'UNSUPPORTED',
        `one reader over ${stores.length} stores (${names.join(', ')}) is more than SQLite can attach, which is ${READER_STORES_MAX}; put some projections into one`,
      )
    }
    refuseTwins(stores.map((store) => ({ name: store.name, tables: tablesOf(store) })))
    const onClose = (): void => void this.#readers.delete(reader)
    const reader = this.#inMemory ? new MemoryReader(stores, onClose) : new FileReader(attach(first, others), onClose)
    this.#readers.add(reader)
    return reader
  }

  readonly exists = async (name: string): Promise<boolean> =>
    this.#open.has(name) || (this.#memory?.databases.has(name) ?? (!this.#inMemory && existsSync(this.#fileOf(name))))

  readonly remove = async (name: string): Promise<void> => {
    if (this.#open.has(name))
      throw new AtollError('DATA_IN_USE', `store ${name} is open; close it before it is removed`)
    this.#memory?.databases.get(name)?.close()
    this.#memory?.databases.delete(name)
    if (this.#inMemory) return
    for (const suffix of ['', '-wal', '-shm']) rmSync(this.#fileOf(name) + suffix, { force: true })
  }

  readonly examine = async (): Promise<Examination> => examineSqlite(this.#inMemory ? undefined : this.#folder)

  readonly close = async (): Promise<void> => {
    for (const reader of [...this.#readers]) await reader.close()
    for (const store of [...this.#open.values()]) await store.close()
  }

  get #inMemory(): boolean {
    return this.#folder === ':memory:'
  }

  #fileOf(name: string): string {
    assertName(name)
    return this.#inMemory ? ':memory:' : join(this.#folder, `${name}.db`)
  }

  #require(name: string): SqliteStore {
    const store = this.#open.get(name)
    if (!store) throw new AtollError('STORE_CLOSED', `store ${name} is not open`)
    return store
  }
}

/**
 * Whether a commit can fail over what a work wrote: SQLite checks deferred foreign keys only then. A work whose commit
 * may fail must not share it, or it would take others with it.
 */
function checksAtCommit(database: Database): boolean {
  // the column is text
  const tables = database.prepare('SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL').pluck().all() as string[]
  return tables.some((sql) => defersConstraints(meaningOf(sql)))
}

/** Names with `atoll_` are the runtime's, which asks each store by itself. */
function tablesOf({ connection }: SqliteStore): string[] {
  const tables = connection.database.prepare(
    `SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'atoll\\_%' ESCAPE '\\'`,
  )
  return tables.pluck().all() as string[] // the column is text
}

/** Committed state of several files through one connection. */
function attach(first: SqliteStore, others: readonly SqliteStore[]): Connection {
  const connection = openReadonly(first.connection.file)
  for (const [index, { connection: other }] of others.entries())
    connection.database.prepare(`ATTACH ? AS part_${index}`).run(other.file)
  return connection
}

function openReadonly(file: string): Connection {
  return new Connection(openDatabase(file, { applicationId, formatVersion, readonly: true }), file)
}

/** One is opened, and SQLite attaches ten more at the most. */
const READER_STORES_MAX = 11
/** Marks a SQLite file as an Atoll store: the bytes of `AtSt`. */
const applicationId = 0x41745374
/** Raised when a store changes in a way that older code would misread. */
const formatVersion = 1
