import { AtollError } from '@atoll/host'
import type { DialectParts, InsertStatement, Queries, Row, Statement, Value } from '@atoll/store/driver'

/**
 * The transaction of a batch, for one event of it: what its handler left behind, and asks for when that has ended,
 * would be done in the midst of the next one.
 */
export class OwnQueries implements Queries {
  readonly #queries: Queries
  #hasEnded = false

  constructor(queries: Queries) {
    this.#queries = queries
  }

  end(): void {
    this.#hasEnded = true
  }

  get dialect(): DialectParts {
    return this.#queries.dialect
  }

  async run(statement: Statement, params?: readonly Value[]): Promise<number> {
    return this.#open().run(statement, params)
  }

  async insert(statement: InsertStatement, params?: readonly Value[]): Promise<number> {
    return this.#open().insert(statement, params)
  }

  async runEach(statement: Statement, rows: readonly (readonly Value[])[]): Promise<void> {
    return this.#open().runEach(statement, rows)
  }

  async get<R = Row>(statement: Statement, params?: readonly Value[]): Promise<R | undefined> {
    return this.#open().get<R>(statement, params)
  }

  async all<R = Row>(statement: Statement, params?: readonly Value[]): Promise<R[]> {
    return this.#open().all<R>(statement, params)
  }

  #open(): Queries {
    if (this.#hasEnded)
      throw new AtollError('TX_CLOSED', 'a handler used its db after it had ended; await everything inside it')
    return this.#queries
  }
}
