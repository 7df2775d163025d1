import { AtollError, type Host } from '@atoll/host'
import type { Queries, Statement, Transaction } from '@atoll/store/driver'
import { decodePosition, emptyPosition, encodePosition, type Position } from './position.ts'

const selectAnswer: Statement = { sql: 'SELECT input_digest AS "inputDigest", output, position, etag FROM atoll_answers WHERE operation = ? AND caller = ? AND key = ?' }
const insertAnswer: Statement = {
  sql: 'INSERT INTO atoll_answers (operation, caller, key, input_digest, output, position, etag, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
}
const deleteOld: Statement = { sql: 'DELETE FROM atoll_answers WHERE at < ?' }

/** An answer given before, under the same Idempotency-Key. */
export interface RecordedAnswer {
  readonly output: unknown
  readonly position: Position
  readonly etag: string | undefined
}

/** Thrown inside a transaction that finds its command answered already; undoes it. */
class AlreadyAnswered extends Error {
  constructor() {
    super('this command was answered before')
  }
}

/**
 * The answer of one command under one Idempotency-Key: found, or recorded in the command's own transaction. Keys are kept apart by
 * operation and caller. The input is kept as a digest, because inputs hold secrets.
 */
export class AnswerSlot {
  readonly #host: Host
  readonly #operation: string
  readonly #caller: string
  readonly #key: string
  readonly #inputDigest: string

  constructor(host: Host, operation: string, caller: string | undefined, key: string, input: unknown) {
    this.#host = host
    this.#operation = operation
    this.#caller = caller ?? ''
    this.#key = key
    this.#inputDigest = host.digest(JSON.stringify([operation, key, input]))
  }

  /** The recorded answer, if there is one. IDEMPOTENCY_KEY_REUSED if it was recorded for another input. */
  async find(queries: Queries): Promise<RecordedAnswer | undefined> {
    const row = await queries.get<{ inputDigest: string; output: string | null; position: string; etag: string | null }>(selectAnswer, [this.#operation, this.#caller, this.#key])
    if (!row) return undefined
    if (row.inputDigest !== this.#inputDigest) {
      throw new AtollError('IDEMPOTENCY_KEY_REUSED', `the Idempotency-Key was used before for ${this.#operation} with another input; use a fresh key for each different request`)
    }
    return { output: row.output === null ? undefined : JSON.parse(row.output), position: decodePosition(row.position) ?? emptyPosition, etag: row.etag ?? undefined }
  }

  /** What {@link check} found. */
  found: RecordedAnswer | undefined

  /** Looks again inside the transaction, where nobody can come between, and undoes it if somebody has. */
  async check(tx: Transaction): Promise<void> {
    this.found = await this.find(tx)
    if (this.found) throw new AlreadyAnswered()
  }

  async record(tx: Transaction, { output, position, etag }: RecordedAnswer): Promise<void> {
    const json = output === undefined ? null : JSON.stringify(output)
    await tx.run(insertAnswer, [this.#operation, this.#caller, this.#key, this.#inputDigest, json, encodePosition(position), etag ?? null, this.#host.now()])
  }
}

/** Forgets answers given before `at`, milliseconds since 1970. */
export async function forgetAnswers(tx: Transaction, at: number): Promise<void> {
  await tx.run(deleteOld, [at])
}
