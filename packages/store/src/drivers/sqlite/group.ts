import type { AtollError } from '@atoll/host'
import type { Database, Statement as SqliteStatement } from '@atoll/sqlite'
import type { Queries, Transaction } from '../../driver.ts'

/** One physical commit, and what it carries. */
export class Group {
  /** Works that have ended well and wait for the commit. */
  readonly written: Write[] = []
  readonly hooks = new Map<object, Hook>()
  /** When it must make room for the next, by the monotonic clock. */
  readonly untilMs: number
  /** How many works it has run, well or not. */
  count = 0
  /** Why nothing of it can be committed, if that is so. */
  failure: AtollError | undefined

  constructor(untilMs: number) {
    this.untilMs = untilMs
  }
}

/** A transaction that somebody asked for. */
export interface Write {
  readonly work: (tx: Transaction) => Promise<unknown>
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
  /** What the work returned, until the commit lets it out. */
  result: unknown
}

export type Hook = (queries: Queries) => Promise<void>

/** Begins and ends transactions and savepoints. Prepared once, because a work needs several of them. */
export class Control {
  readonly begin: SqliteStatement
  readonly commit: SqliteStatement
  readonly work: Savepoint
  /** Inside a work. */
  readonly inner: Savepoint
  readonly #rollback: SqliteStatement
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
    this.begin = database.prepare('BEGIN IMMEDIATE')
    this.commit = database.prepare('COMMIT')
    this.#rollback = database.prepare('ROLLBACK')
    this.work = savepoint(database, 'work')
    this.inner = savepoint(database, 'inner_work')
  }

  /** After some errors, such as a full disk, SQLite has undone everything by itself. */
  get isOpen(): boolean {
    return this.#database.inTransaction
  }

  rollback(): void {
    if (this.isOpen) this.#rollback.run()
  }
}

/** A savepoint of one name. Of several open at once, the one set last is meant. */
export interface Savepoint {
  readonly set: SqliteStatement
  readonly release: SqliteStatement
  /** Undoes what came after it; it is still set then. */
  readonly undo: SqliteStatement
}

function savepoint(database: Database, name: string): Savepoint {
  return { set: database.prepare(`SAVEPOINT ${name}`), release: database.prepare(`RELEASE ${name}`), undo: database.prepare(`ROLLBACK TO ${name}`) }
}
