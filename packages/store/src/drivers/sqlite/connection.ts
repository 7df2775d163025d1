import { AtollError } from '@atoll/host'
import { toAtollError, type Database, type Statement as SqliteStatement } from '@atoll/sqlite'
import { SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely'
import type { DialectParts, Queries, Row, Statement, Value } from '../../driver.ts'

/** How Kysely writes for SQLite. One object, because compiled statements are kept by it. */
export const sqliteDialect: DialectParts = {
  createAdapter: () => new SqliteAdapter(),
  createIntrospector: (db) => new SqliteIntrospector(db),
  createQueryCompiler: () => new SqliteQueryCompiler(),
}

/**
 * One SQLite connection. SQLite runs in this process and answers at once, so everything here is synchronous; the promises of the port
 * are made by those who use it.
 */
export class Connection {
  readonly database: Database
  readonly file: string
  readonly #prepared = new WeakMap<Statement, SqliteStatement>()

  constructor(database: Database, file: string) {
    this.database = database
    this.file = file
  }

  run(statement: Statement, params: readonly Value[]): number {
    try {
      const prepared = this.#prepare(statement)
      if (!prepared.reader) return prepared.run(params as Value[]).changes
      return prepared.all(params as Value[]).length // it says RETURNING, and nobody asked what
    } catch (error) {
      throw toAtollError(error, this.file)
    }
  }

  runEach(statement: Statement, rows: readonly (readonly Value[])[]): void {
    try {
      const prepared = this.#prepare(statement)
      for (const row of rows) prepared.run(row as Value[])
    } catch (error) {
      throw toAtollError(error, this.file)
    }
  }

  get(statement: Statement, params: readonly Value[]): unknown {
    try {
      return this.#prepare(statement).get(params as Value[])
    } catch (error) {
      throw toAtollError(error, this.file)
    }
  }

  all(statement: Statement, params: readonly Value[]): unknown[] {
    try {
      const prepared = this.#prepare(statement)
      if (prepared.reader) return prepared.all(params as Value[])
      prepared.run(params as Value[])
      return []
    } catch (error) {
      throw toAtollError(error, this.file)
    }
  }

  /** Refuses a statement that writes: INSERT … RETURNING answers rows too, and must not slip through a reader. */
  assertReads(statement: Statement): void {
    try {
      if (this.#prepare(statement).readonly) return
    } catch (error) {
      throw toAtollError(error, this.file)
    }
    throw new AtollError('UNSUPPORTED', `${this.file} was written through a reader; write in a transaction`)
  }

  #prepare(statement: Statement): SqliteStatement {
    let prepared = this.#prepared.get(statement)
    if (!prepared) this.#prepared.set(statement, (prepared = this.database.prepare(statement.sql)))
    return prepared
  }
}

/** Queries that run on a connection as they come. */
export class DirectQueries implements Queries {
  readonly dialect = sqliteDialect
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async run(statement: Statement, params: readonly Value[] = []): Promise<number> {
    return this.#connection.run(statement, params)
  }

  async runEach(statement: Statement, rows: readonly (readonly Value[])[]): Promise<void> {
    this.#connection.runEach(statement, rows)
  }

  async get<R = Row>(statement: Statement, params: readonly Value[] = []): Promise<R | undefined> {
    return this.#connection.get(statement, params) as R | undefined // the caller knows its columns
  }

  async all<R = Row>(statement: Statement, params: readonly Value[] = []): Promise<R[]> {
    return this.#connection.all(statement, params) as R[] // the caller knows its columns
  }
}
