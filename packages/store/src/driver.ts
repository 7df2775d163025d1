// For the runtime and for authors of drivers: the port that every store fulfils, held to by `@atoll/store/conformance`.

import type { AtollError, ErrorCode, Examination } from '@atoll/host'
import type { Dialect } from 'kysely'

/**
 * Opens the stores of a system. One store is one service's own database (or one projection's); nobody else opens it.
 */
export interface StoreDriver {
  readonly capabilities: StoreCapabilities

  /**
   * Opens the store `name`, creating it if it is not there, and applies the migrations that it lacks, each once, all in
   * one transaction. Refuses, and touches nothing: a damaged store (STORE_CORRUPT), one from a newer version
   * (STORE_NEWER), a migration whose text differs from what was applied under its name (MIGRATION_CHANGED), a new one
   * that comes before one which was applied (MIGRATION_OUT_OF_ORDER).
   */
  open(name: string, migrations: Migrations): Promise<Store>

  /**
   * Committed state of several stores as one, for queries of a service with projections, which live in stores of their
   * own. The stores must be open. Refuses, with DEFINITION_INVALID, stores that have a table of one name (but for the
   * runtime's own, `atoll_…`), and with UNSUPPORTED more stores than it can take.
   */
  openReader(names: readonly string[]): Reader

  /** Whether there is a store of that name. */
  exists(name: string): Promise<boolean>

  /** Deletes a closed store and all that is in it. Deleting what is not there does nothing. */
  remove(name: string): Promise<void>

  /**
   * Reads the engine's real settings, and says what they mean for the promises. Changes nothing. UNAVAILABLE if it
   * cannot be reached.
   */
  examine(): Promise<Examination>

  /** Closes what is still open. Idempotent. */
  close(): Promise<void>
}

export interface Store {
  readonly name: string

  /**
   * Runs `work` in a transaction. Resolves with its result once the commit is durable; rejects, with everything that
   * the work did undone, if the work throws or the commit fails (STORE_FULL, UNAVAILABLE).
   *
   * Transactions that are ready at the same time may share one physical commit, each under a savepoint of its own: one
   * that fails takes no other with it. They run one after the other, in the order of the calls; each sees what those
   * before it in the same commit wrote. One that is {@link WriteOptions.urgent} goes before those that wait and are
   * not. Nobody is answered before the shared commit is durable, neither with a result nor, after others, with a
   * failure, which may rest on what they wrote. If that commit fails, all of them reject, with what the store says of
   * it: UNAVAILABLE, STORE_FULL.
   *
   * `work` may wait for nothing but the store. If it does (a fetch, a timer, another transaction), it is undone and
   * rejected with TX_WAITED; what it does with `tx` from then on rejects with TX_CLOSED.
   *
   * After a statement that failed, also if the work caught the failure, nothing more runs in the transaction: it is
   * refused with TX_FAILED, and so is the write. What may fail belongs into a {@link Transaction.savepoint}.
   *
   * More than `capabilities.writesQueuedMax` waiting transactions are refused with OVERLOADED, but for urgent ones.
   */
  write<T>(work: (tx: Transaction) => Promise<T>, options?: WriteOptions): Promise<T>

  /** Committed state, for reading. */
  readonly reader: Reader

  /** Tells the other processes that have the store open that there is news in it. A hint, which may be lost. */
  tell(): void

  /** Calls `listener` when another process tells of news. Returns what ends it. */
  watch(listener: () => void): () => void

  /** Waits for the transactions under way, then frees everything. Later writes reject with STORE_CLOSED. Idempotent. */
  close(): Promise<void>
}

export interface WriteOptions {
  /**
   * For what must not come late because there is much to do: the renewal of a lease that all the rest depends on.
   * Default: false.
   */
  readonly urgent?: boolean
}

/**
 * What a commit fails with by no doing of the works that share it: its store is away or in trouble, or a hook found its
 * lease gone.
 */
export const storeFailures: ReadonlySet<ErrorCode> = new Set([
  'STORE_FULL',
  'STORE_CLOSED',
  'STORE_CORRUPT',
  'UNAVAILABLE',
  'OVERLOADED',
  'FENCED',
])

/**
 * Runs statements. Kysely stands on it (`kyselyFor`), prepared statements run on it, and so does the runtime. Inside a
 * transaction they take effect in the order in which they were asked for, whether or not anybody waited for the ones
 * before.
 */
export interface Queries {
  /** What Kysely needs to write this store's SQL. */
  readonly dialect: DialectParts
  /** Runs a statement that answers nothing; resolves with the number of rows it changed. */
  run(statement: Statement, params?: readonly Value[]): Promise<number>
  /** Inserts one row; resolves with the value that the store gave to the statement's {@link InsertStatement.key}. */
  insert(statement: InsertStatement, params?: readonly Value[]): Promise<number>
  /** Runs one statement for each row of parameters, in order. */
  runEach(statement: Statement, rows: readonly (readonly Value[])[]): Promise<void>
  /** The first row, or undefined. */
  get<R = Row>(statement: Statement, params?: readonly Value[]): Promise<R | undefined>
  /** Every row. */
  all<R = Row>(statement: Statement, params?: readonly Value[]): Promise<R[]>
}

/** Committed state. It never waits for a writer and never sees half a transaction. */
export interface Reader extends Queries {
  /** Frees it. A reader obtained as {@link Store.reader} closes with its store. */
  close(): Promise<void>
}

export interface Transaction extends Queries {
  /**
   * Runs `work` so that its changes are undone, and only its, if it throws. Savepoints nest; two that overlap fail the
   * whole work.
   */
  savepoint<T>(work: () => Promise<T>): Promise<T>
  /**
   * Calls `hook` once, inside the transaction, right before the physical commit that carries this work; not at all if
   * this work is undone. Per `key` and physical commit only the first hook is called: what is folded over many works (a
   * cursor) is written once. A hook that throws fails the whole physical commit.
   */
  beforeCommit(key: object, hook: (queries: Queries) => Promise<void>): void
  /**
   * Inserts one row as `insert` does, and does not wait for it: the work may go on, and end. `onKey` hears the value
   * that the store gave by the time that `write` resolves. For what cannot fail by itself: if it does all the same, the
   * work fails, and on some engines its whole physical commit.
   */
  send(statement: InsertStatement, params: readonly Value[], onKey: (key: number) => void): void
  /**
   * Stands for the physical commit that this work is part of: what was checked once under it need not be checked again.
   */
  readonly commit: object
  /**
   * What the store itself failed with in this work (STORE_FULL, UNAVAILABLE, …), also if the work caught it and threw
   * something else. Undefined if it did not.
   */
  readonly storeFailure: AtollError | undefined
  /**
   * Why the commit of this work was refused over what it wrote, by a store that is in order: a constraint that is
   * checked only then is broken. `write` rejects with it. Undefined if it was not, and while it is not known. Where
   * several works share such a commit, it is not known whose doing it was: they reject with UNAVAILABLE, and in that
   * store each commits alone from then on, until enough commits have gone well.
   */
  readonly refusal: AtollError | undefined
  /** Whether this work has been undone. Hooks before the commit look, when they speak for several works of it. */
  readonly undone: boolean
}

/** One SQL statement with `?` for each parameter. Make it once and keep it: drivers prepare it once per object. */
export interface Statement {
  readonly sql: string
  /**
   * It is a service's, which may read the runtime's own tables (`atoll_…`) and not write them: drivers refuse that with
   * UNSUPPORTED, when they prepare it.
   */
  readonly ofService?: true
}

/**
 * An INSERT of one row into a table whose integer primary key the store fills in. It has no RETURNING: that is the
 * driver's to add, where it needs one.
 */
export interface InsertStatement extends Statement {
  /** The column that the store fills in. */
  readonly key: string
}

/**
 * What is written is what is read, on every engine, or is refused with INVALID: texts with U+0000 or half of a
 * surrogate pair, NaN, integers of more than 64 bits, and what is none of these types. Whole numbers come back as
 * numbers, from integer columns as bigints where they are beyond 2^53.
 */
export type Value = string | number | bigint | Uint8Array | null
export type Row = Record<string, Value>

/**
 * Name → SQL, in the order in which they are applied. A name never changes its SQL once released; a change is a new
 * name.
 */
export type Migrations = Readonly<Record<string, Migration>>

/**
 * SQL that every engine understands, or a text for each. PostgreSQL reads the column types and table options of SQLite
 * (`INTEGER`, `BLOB`, `STRICT`, …) as what they mean there; the README of this package has the list.
 */
export type Migration = string | Readonly<Record<StoreCapabilities['sql'], string>>

/** The SQL of a migration for one kind of engine. */
export function textOf(migration: Migration, sql: StoreCapabilities['sql']): string {
  return typeof migration === 'string' ? migration : migration[sql]
}

/** The parts of a Kysely dialect that do not run anything. */
export type DialectParts = Pick<Dialect, 'createAdapter' | 'createIntrospector' | 'createQueryCompiler'>

export interface StoreCapabilities {
  /** Which SQL the migrations are written in. */
  readonly sql: 'sqlite' | 'postgres'
  /** Stores survive close and open. (In-memory stores for tests do not.) */
  readonly persistent: boolean
  /**
   * With an engine that is set so, a commit survives the loss of power once `write` resolved. Whether this engine is,
   * {@link StoreDriver.examine} says.
   */
  readonly canBeDurable: boolean
  /** Transactions that are ready together share one physical commit. */
  readonly groupsCommits: boolean
  /** The most transactions that may wait for the writer of one store. */
  readonly writesQueuedMax: number
}
