import { AtollError } from '@atoll/host'
import type { Queries, Row, Statement, Transaction, Value } from '../../driver.ts'
import { sqliteDialect, type Connection } from './connection.ts'

const savepoint: Statement = { sql: 'SAVEPOINT inner_work' }
const release: Statement = { sql: 'RELEASE inner_work' }
const rollback: Statement = { sql: 'ROLLBACK TO inner_work' }

/** One work's share of a physical commit. */
export class SqliteTransaction implements Transaction {
  readonly dialect = sqliteDialect
  readonly commit: object
  /** Hooks of this work; the group takes them over when the work has ended well. */
  readonly hooks: [key: object, hook: (queries: Queries) => Promise<void>][] = []
  readonly #connection: Connection
  #ended = false

  constructor(connection: Connection, commit: object) {
    this.#connection = connection
    this.commit = commit
  }

  /** Everything from here on is refused. */
  end(): void {
    this.#ended = true
  }

  async run(statement: Statement, params: readonly Value[] = []): Promise<number> {
    this.#assertOpen()
    return this.#connection.run(statement, params)
  }

  async runEach(statement: Statement, rows: readonly (readonly Value[])[]): Promise<void> {
    this.#assertOpen()
    this.#connection.runEach(statement, rows)
  }

  async get<R = Row>(statement: Statement, params: readonly Value[] = []): Promise<R | undefined> {
    this.#assertOpen()
    return this.#connection.get(statement, params) as R | undefined // the caller knows its columns
  }

  async all<R = Row>(statement: Statement, params: readonly Value[] = []): Promise<R[]> {
    this.#assertOpen()
    return this.#connection.all(statement, params) as R[] // the caller knows its columns
  }

  async savepoint<T>(work: () => Promise<T>): Promise<T> {
    this.#assertOpen()
    this.#connection.run(savepoint, [])
    try {
      const result = await work()
      this.#assertOpen()
      this.#connection.run(release, [])
      return result
    } catch (error) {
      if (!this.#ended && this.#connection.database.inTransaction) {
        this.#connection.run(rollback, [])
        this.#connection.run(release, [])
      }
      throw error
    }
  }

  beforeCommit(key: object, hook: (queries: Queries) => Promise<void>): void {
    this.#assertOpen()
    for (const [known] of this.hooks) if (known === key) return
    this.hooks.push([key, hook])
  }

  #assertOpen(): void {
    if (this.#ended) throw new AtollError('TX_CLOSED', `a transaction of ${this.#connection.file} was used after it had ended; await everything inside its callback`)
  }
}
