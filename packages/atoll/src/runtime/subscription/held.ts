import type { AtollError } from '@atoll/host'
import type { Queries, Statement, Transaction, Value } from '@atoll/store/driver'
import type { Envelope } from '../envelope.ts'

/** `retrying`: waits for another try. `parked`: waits behind one of its key. `dead`: its tries are used up. */
export type HeldState = 'retrying' | 'parked' | 'dead'

/** An event that the cursor has passed and that is not handled. */
export interface HeldEvent extends Envelope {
  readonly seq: number
  readonly state: HeldState
  readonly attempts: number
  readonly dueAt: number
}

const columns = `seq, state, attempts, due_at AS dueAt, source, partition, number, position AS "order", id, type, version, key, at, data, trace, cause`
const insertHeld: Statement = {
  sql: `INSERT INTO atoll_held (subscription, partition, key, state, attempts, due_at, changed_at, error_code, error_message, error_stack,
          source, number, position, id, type, version, at, data, trace, cause)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
}
const updateHeld: Statement = {
  sql: 'UPDATE atoll_held SET state = ?, attempts = ?, due_at = ?, changed_at = ?, error_code = ?, error_message = ?, error_stack = ? WHERE seq = ?',
}
const deleteHeld: Statement = { sql: 'DELETE FROM atoll_held WHERE seq = ?' }
const selectKeys: Statement = { sql: 'SELECT DISTINCT key FROM atoll_held WHERE subscription = ? AND partition = ?' }
const selectFirst: Statement = { sql: `SELECT ${columns} FROM atoll_held WHERE subscription = ? AND partition = ? AND key = ? ORDER BY seq LIMIT 1` }
const selectOfKey: Statement = { sql: `SELECT ${columns} FROM atoll_held WHERE subscription = ? AND partition = ? AND key = ? ORDER BY seq` }
const selectDue: Statement = {
  sql: `SELECT DISTINCT key FROM atoll_held WHERE subscription = ? AND partition = ? AND state = 'retrying' AND due_at <= ?`,
}
const selectNext: Statement = { sql: `SELECT min(due_at) AS dueAt FROM atoll_held WHERE subscription = ? AND partition = ? AND state = 'retrying'` }

/** What is noted of the error that an event met. */
export interface HeldReason {
  readonly state: HeldState
  readonly attempts: number
  readonly dueAt: number
  readonly error: AtollError | undefined
}

/** The held events of one partition of a subscription. First in, first out per key. */
export class HeldEvents {
  /** Keys with at least one held event. Later events of these are parked. */
  readonly keys = new Set<string>()
  readonly #subscription: string
  readonly #partition: number

  constructor(subscription: string, partition: number) {
    this.#subscription = subscription
    this.#partition = partition
  }

  async load(queries: Queries): Promise<void> {
    this.keys.clear()
    for (const row of await queries.all<{ key: string }>(selectKeys, [this.#subscription, this.#partition])) this.keys.add(row.key)
  }

  async hold(tx: Transaction, event: Envelope, reason: HeldReason, now: number): Promise<void> {
    await tx.run(insertHeld, [
      this.#subscription, this.#partition, event.key, ...reasonValues(reason, now),
      event.source, event.number, event.order, event.id, event.type, event.version, event.at, event.data, event.trace, event.cause,
    ])
  }

  async update(tx: Transaction, event: HeldEvent, reason: HeldReason, now: number): Promise<void> {
    await tx.run(updateHeld, [...reasonValues(reason, now), event.seq])
  }

  async release(tx: Transaction, event: HeldEvent): Promise<void> {
    await tx.run(deleteHeld, [event.seq])
  }

  first(queries: Queries, key: string): Promise<HeldEvent | undefined> {
    return queries.get<HeldEvent>(selectFirst, [this.#subscription, this.#partition, key])
  }

  ofKey(queries: Queries, key: string): Promise<HeldEvent[]> {
    return queries.all<HeldEvent>(selectOfKey, [this.#subscription, this.#partition, key])
  }

  async keysDue(queries: Queries, now: number): Promise<string[]> {
    return (await queries.all<{ key: string }>(selectDue, [this.#subscription, this.#partition, now])).map((row) => row.key)
  }

  /** When the next try is due; undefined if none is. */
  async nextDueAt(queries: Queries): Promise<number | undefined> {
    return (await queries.get<{ dueAt: number | null }>(selectNext, [this.#subscription, this.#partition]))?.dueAt ?? undefined
  }
}

function reasonValues(reason: HeldReason, now: number): Value[] {
  const { error } = reason
  return [
    reason.state, reason.attempts, Math.ceil(reason.dueAt), now,
    error?.code ?? '', error?.reason.slice(0, MESSAGE_CHARS_MAX) ?? '', stackOf(error).slice(0, STACK_CHARS_MAX),
  ]
}

/** The stack of what the handler threw, not of our wrapping of it. */
function stackOf(error: AtollError | undefined): string {
  if (!error) return ''
  return (error.cause instanceof Error ? error.cause.stack : error.stack) ?? ''
}

const MESSAGE_CHARS_MAX = 2_000
const STACK_CHARS_MAX = 8_000
