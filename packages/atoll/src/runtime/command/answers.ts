import { AtollError, type Host } from '@atoll/host'
import type { Queries, Statement, Transaction } from '@atoll/store/driver'
import type { IdSeed } from '../handling/ids.ts'
import { decodePosition, emptyPosition, encodePosition, type Position } from '../position.ts'

const selectAnswer: Statement = {
  sql: 'SELECT key, input_digest AS "inputDigest", output, position, etag FROM atoll_answers WHERE operation = ? AND caller = ? AND key IN (?, ?)',
}
const insertAnswer: Statement = {
  sql: 'INSERT INTO atoll_answers (operation, caller, key, input_digest, output, position, etag, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
}
const updateLater: Statement = { sql: 'UPDATE atoll_answers SET at = ? WHERE at > ?' }
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
 * The answer of one command under one Idempotency-Key: found, or recorded in the command's own transaction. Keys are
 * kept apart by operation and caller. Those of callers whom nobody knows are kept apart by what was sent, too: they may
 * be of many people, and none is to be in another's way.
 *
 * What was sent is kept as a digest, because it holds secrets, and is what was sent: its schema may make one thing of
 * two, or two of one. The key is kept as a digest as well, and is what both digests are keyed with: it is the one
 * secret that a client has and the store has not.
 */
export class AnswerSlot {
  readonly #host: Host
  readonly #operation: string
  readonly #caller: string
  readonly #key: string
  /** What stands in the store in place of the key. */
  readonly #place: string
  readonly #inputDigest: string
  readonly #isAnonymous: boolean
  /** The digest that rows have which were recorded before digests were keyed. */
  readonly #olderDigest: () => string
  /** What {@link check} found. */
  found: RecordedAnswer | undefined

  /** `sentJson`: what was sent, as canonical JSON, before its schema had it. */
  constructor(
    host: Host,
    operation: string,
    caller: string | undefined,
    key: string,
    input: { readonly sentJson: string; readonly parsed: unknown },
  ) {
    const { sentJson } = input
    this.#host = host
    this.#operation = operation
    this.#caller = caller ?? ''
    this.#key = key
    this.#isAnonymous = caller === undefined
    this.#place = host.digest(
      JSON.stringify(['key', operation, caller ?? null, this.#isAnonymous ? sentJson : null]),
      key,
    )
    this.#inputDigest = host.digest(JSON.stringify(['input', operation, sentJson]), key)
    this.#olderDigest = () => host.digest(JSON.stringify([operation, key, input.parsed]))
  }

  /**
   * The same whenever the command runs under this key, for as long as its answer would be kept: from then on the key
   * may be used for another. At the end of a period one that runs again may meet the next.
   */
  idSeed(keptMs: number): IdSeed {
    const at = Math.floor(this.#host.now() / keptMs) * keptMs
    return { text: `${this.#place} ${at}`, at }
  }

  /** The recorded answer, if there is one. IDEMPOTENCY_KEY_REUSED if it was recorded for another input. */
  async find(queries: Queries): Promise<RecordedAnswer | undefined> {
    const rows = await queries.all<AnswerRow>(selectAnswer, [this.#operation, this.#caller, this.#place, this.#key])
    // strangers may have used the same key before digests were keyed
    const row = rows.find(({ key }) => key === this.#place) ?? rows[0]
    if (!row) return undefined
    const isOlder = row.key === this.#key
    if (row.inputDigest !== (isOlder ? this.#olderDigest() : this.#inputDigest)) {
      if (this.#isAnonymous) return undefined // somebody else's
      throw new AtollError(
        'IDEMPOTENCY_KEY_REUSED',
        `the Idempotency-Key was used before for ${this.#operation} with another input; use a fresh key for each different request`,
      )
    }
    return {
      output: row.output === null ? undefined : JSON.parse(row.output),
      position: decodePosition(row.position) ?? emptyPosition,
      etag: row.etag ?? undefined,
    }
  }

  /** Looks again inside the transaction, where nobody can come between, and undoes it if somebody has. */
  async check(tx: Transaction): Promise<void> {
    this.found = await this.find(tx)
    if (this.found) throw new AlreadyAnswered()
  }

  async record(
    tx: Transaction,
    { output, outputJson, position, etag }: RecordedAnswer & { readonly outputJson?: string | undefined },
  ): Promise<void> {
    const json = output === undefined ? null : (outputJson ?? JSON.stringify(output))
    await tx.run(insertAnswer, [
      this.#operation,
      this.#caller,
      this.#place,
      this.#inputDigest,
      json,
      encodePosition(position),
      etag ?? null,
      this.#host.now(),
    ])
  }
}

/**
 * Forgets answers that are older than `keptMs`. One that seems to come from later than now was noted by a clock that
 * was ahead, or ours was set back: its age is counted from now on, so that it is not kept for as much longer.
 */
export async function forgetAnswers(tx: Transaction, now: number, keptMs: number): Promise<void> {
  await tx.run(deleteOld, [now - keptMs])
  await tx.run(updateLater, [now, now])
}

interface AnswerRow {
  readonly key: string
  readonly inputDigest: string
  readonly output: string | null
  readonly position: string
  readonly etag: string | null
}
