import { AtollError, type Host } from '@atoll/host'
import pg from 'pg'
import type { Client, Param, Result, Row } from './client.ts'
import { leavesUsable, toAtollError } from './errors.ts'
import type { Statements } from './statements.ts'

/** What the sessions of a pool have in common. */
export interface Talk {
  /** Whom they talk to, for messages. */
  readonly name: string
  readonly host: Host
  readonly statements: Statements
  readonly callMs: number
  /** Whether statements are sent without waiting for the answers of those before. */
  readonly pipeline: boolean
  /** Called with each answer: the server is there. */
  answered(): void
}

/** One connection, of which it is known at any time whether it may still be used. */
export class Session implements Client {
  readonly raw: pg.Client
  readonly #talk: Talk
  #broken: Error | undefined
  #waiting = 0
  #isGathering = false
  /**
   * Names of statements that the server has prepared; and of those that it is preparing at this moment, with whose
   * answer.
   */
  readonly #prepared = new Set<string>()
  readonly #preparing = new Set<string>()

  constructor(raw: pg.Client, talk: Talk) {
    this.raw = raw
    this.#talk = talk
    // Without a listener, an error of a connection that nobody uses at the moment would end the process.
    raw.on('error', (error) => this.#break(toAtollError(error, talk.name)))
    raw.on('notice', ({ routine }) => {
      if (routine === 'SyncRepWaitForLSN') this.destroy(unconfirmed(talk.name))
    })
  }

  /** Whether another may use it: no error of the connection, nothing unanswered, no transaction open. */
  get isClean(): boolean {
    return !this.#broken && this.#waiting === 0 && this.raw.getTransactionStatus() === 'I'
  }

  query<R = Row>(sql: string, params: readonly Param[] = [], callMs: number = this.#talk.callMs): Promise<Result<R>> {
    if (this.#broken) return Promise.reject(this.#broken)
    const { host, name } = this.#talk
    if (params.length > PARAMS_MAX) return Promise.reject(tooManyParams(name, params.length))
    return new Promise((resolve, reject) => {
      // The server's own bound does not help where the server does not answer: it may be gone without a word, behind a
      // connection that looks healthy.
      const watchdog = host.after(callMs, () => {
        const error = new AtollError(
          'UNAVAILABLE',
          `${name} did not answer within ${callMs} ms; whether the statement took effect is unknown`,
        )
        this.destroy(error)
        reject(error)
      })
      this.#run<R>(sql, params)
        .then(resolve, reject)
        .finally(() => watchdog.cancel())
    })
  }

  async #run<R>(sql: string, params: readonly Param[]): Promise<Result<R>> {
    const { name, answered } = this.#talk
    const statement = this.#statementOf(sql)
    this.#waiting++
    if (this.#talk.pipeline) this.#gather()
    try {
      const result = await ask<R>(this.raw, sql, params, statement)
      if (statement !== undefined) this.#prepared.add(statement)
      answered()
      if (this.#broken) throw this.#broken
      return { rows: result.rows, count: result.rowCount ?? 0, command: result.command }
    } catch (thrown) {
      if (leavesUsable(thrown)) answered()
      else this.destroy(toAtollError(thrown, name))
      throw this.#broken ?? toAtollError(thrown, name)
    } finally {
      if (statement !== undefined) this.#preparing.delete(statement)
      this.#waiting-- // before the caller hears of the answer, who may give the connection back at once
    }
  }

  /** What is asked in one go is sent in one go: a write to the socket costs more than all the rest of a statement. */
  #gather(): void {
    if (this.#isGathering) return
    this.#isGathering = true
    const { stream } = this.raw.connection
    stream.cork()
    process.nextTick(() => {
      this.#isGathering = false
      stream.uncork()
    })
  }

  /**
   * The name to run it by, if any. While one question prepares a statement, those behind it do not rely on that: in a
   * transaction that failed before, it is not prepared, and they would meet a name that the server does not know.
   */
  #statementOf(sql: string): string | undefined {
    const name = this.#talk.statements.nameOf(sql)
    if (name === undefined || this.#prepared.has(name)) return name
    if (this.#preparing.has(name)) return undefined
    this.#preparing.add(name)
    return name
  }

  /**
   * Ends the connection at once, whatever the server says or does not say. What waits for an answer is rejected with
   * `error`.
   */
  destroy(error: Error): void {
    this.#break(error)
    this.raw.connection.stream.destroy()
  }

  #break(error: Error): void {
    this.#broken ??= error
  }
}

/** The protocol counts them in 16 bits, and the library lets the number overflow. */
const PARAMS_MAX = 65_535

function tooManyParams(name: string, count: number): AtollError {
  return new AtollError(
    'UNSUPPORTED',
    `a statement with ${count} parameters is more than ${name} takes, which is ${PARAMS_MAX}; write so many rows in several statements`,
  )
}

/**
 * Asks as the library's `query` does, without its copy of the question: where every work of a store is a statement or
 * two, the copies were 5 % of what a process computed.
 */
function ask<R>(
  raw: pg.Client,
  sql: string,
  params: readonly Param[],
  name: string | undefined,
): Promise<pg.QueryResult<R & pg.QueryResultRow>> {
  return new Promise((resolve, reject) => {
    // The library takes an array that may be written to, and does not write to it; and it types rows as `any`: they are
    // what the statement selects, which the caller knows.
    const question = new pg.Query<R & pg.QueryResultRow, Param[]>(sql, params as Param[], (error, result) =>
      error ? reject(error) : resolve(result),
    )
    // `extended` is one statement at a time: the other way of asking would run all that a text holds, a COMMIT among
    // it.
    raw.query(Object.assign(question, { name, queryMode: 'extended' }))
  })
}

/**
 * The server says so in a warning: a commit that was to wait for its standbys, and was told to wait no longer, is a
 * success to the protocol. It is durable here, and may be lost with this node.
 */
function unconfirmed(name: string): AtollError {
  return new AtollError(
    'UNAVAILABLE',
    `${name} committed without its standbys: the wait for them was cancelled. Whether the commit outlives this node is unknown`,
  )
}
