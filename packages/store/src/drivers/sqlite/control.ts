import type { Database, Statement as SqliteStatement } from '@atoll/sqlite'

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
  return {
    set: database.prepare(`SAVEPOINT ${name}`),
    release: database.prepare(`RELEASE ${name}`),
    undo: database.prepare(`ROLLBACK TO ${name}`),
  }
}
