import { AtollError } from '@atoll/host'
import { sqlStateOf, type Param, type Pool } from '@atoll/postgres'
import type { Reader, Row, Statement, Value } from '../../driver.ts'
import { assertStorable, readOnly, usedAfterClose } from '../../refusals.ts'
import { noParams, postgresDialect, textOf } from './statements.ts'
import type { Writer } from './writer.ts'

/** Committed state, through connections that cannot write. */
export class PostgresReader implements Reader {
  readonly dialect = postgresDialect
  readonly #name: string
  readonly #pool: Pool
  readonly #writers: readonly Writer[]
  readonly #onClose: () => void
  #closed: Promise<void> | undefined

  constructor(name: string, pool: Pool, writers: readonly Writer[], onClose: () => void = () => {}) {
    this.#name = name
    this.#pool = pool
    this.#writers = writers
    this.#onClose = onClose
  }

  async run(): Promise<never> {
    throw readOnly(this.#name)
  }

  async insert(): Promise<never> {
    throw readOnly(this.#name)
  }

  async runEach(): Promise<never> {
    throw readOnly(this.#name)
  }

  async get<R = Row>(statement: Statement, params: readonly Value[] = noParams): Promise<R | undefined> {
    return (await this.#read<R>(statement, params))[0]
  }

  async all<R = Row>(statement: Statement, params: readonly Value[] = noParams): Promise<R[]> {
    return this.#read<R>(statement, params)
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#onClose()
      this.#closed = this.#pool.close()
    }
    return this.#closed
  }

  async #read<R>(statement: Statement, params: readonly Value[]): Promise<R[]> {
    if (this.#closed) throw usedAfterClose(this.#name, 'read')
    assertStorable(params)
    const text = textOf(statement)
    let ask = (): Promise<R[]> => this.#pool.query<R>(text, params as readonly Param[]).then((answer) => answer.rows)
    for (const writer of this.#writers) {
      const inner = ask
      ask = () => writer.beside(inner)
    }
    try {
      return await ask()
    } catch (error) {
      if (this.#closed) throw usedAfterClose(this.#name, 'read')
      throw sqlStateOf(error) === READ_ONLY ? readOnly(this.#name) : AtollError.from(error)
    }
  }
}

/** The SQLSTATE of writing where nothing may be written. */
const READ_ONLY = '25006'
