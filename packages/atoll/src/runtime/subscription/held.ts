import type { AtollError } from '@atoll/host'
import type { Queries, Statement, Transaction, Value } from '@atoll/store/driver'
import type { Envelope } from '../envelope.ts'
import { recordError } from './recorded-error.ts'

/** `retrying`: waits for another try. `parked`: waits behind one of its key. `dead`: its tries are used up. */
export type HeldState = 'retrying' | 'parked' | 'dead'

/** An event that the cursor has passed and that is not handled. */
export interface HeldEvent extends Envelope {
  readonly seq: number
  readonly state: HeldState
  readonly attempts: number
  readonly dueAt: number
}

const columns = `seq, state, attempts, due_at AS "dueAt", source, partition, number, "order", id, type, version, key, at, data, trace, cause`
const insertHeld: Statement = {
  sql: `INSERT INTO atoll_held (subscription, partition, key, state, attempts, due_at, changed_at, error_code, error_message, error_stack,
          source, number, "order", id, type, version, at, data, trace, cause)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
}
const updateHeld: Statement = {
  sql: 'UPDATE atoll_held SET state = ?, attempts = ?, due_at = ?, changed_at = ?, error_code = ?, error_message = ?, error_stack = ? WHERE seq = ?',
}
const deleteHeld: Statement = { sql: 'DELETE FROM atoll_held WHERE seq = ?' }
const reviveNext: Statement = {
  sql: `UPDATE atoll_held SET state = 'retrying', due_at = ? WHERE state = 'parked' AND seq =
          (SELECT min(seq) FROM atoll_held WHERE subscription = ? AND partition = ? AND key = ?)`,
}
const selectAll: Statement = { sql: 'SELECT key, state, source, "order" FROM atoll_held WHERE subscription = ? AND partition = ? ORDER BY seq' }
const selectFirst: Statement = { sql: `SELECT ${columns} FROM atoll_held WHERE subscription = ? AND partition = ? AND key = ? ORDER BY seq LIMIT 1` }
const selectOfKey: Statement = { sql: `SELECT ${columns} FROM atoll_held WHERE subscription = ? AND partition = ? AND key = ? ORDER BY seq` }
const selectDue: Statement = {
  sql: `SELECT DISTINCT key FROM atoll_held WHERE subscription = ? AND partition = ? AND state = 'retrying' AND due_at <= ?`,
}
const selectNext: Statement = {
  sql: `SELECT key, min(due_at) AS "dueAt" FROM atoll_held WHERE subscription = ? AND partition = ? AND state = 'retrying' GROUP BY key ORDER BY "dueAt" LIMIT ?`,
}

/** What is noted of the error that an event met. */
export interface HeldReason {
  readonly state: HeldState
  readonly attempts: number
  readonly dueAt: number
  readonly error: AtollError | undefined
}

/** The reason of an event that waits behind another. */
export const parked: HeldReason = { state: 'parked', attempts: 0, dueAt: 0, error: undefined }

/**
 * The held events of one partition of a subscription. First in, first out per key. The first of a key is dead or is to be tried again;
 * those behind it are parked.
 */
export class HeldEvents {
  readonly #subscription: string
  readonly #partition: number
  /** By key, what is held of it. Later events of these keys are parked. */
  readonly #lines = new Map<string, Line>()
  /** Sources and orders of events that are held and will be tried by themselves. */
  readonly #awaited = new Set<string>()

  constructor(subscription: string, partition: number) {
    this.#subscription = subscription
    this.#partition = partition
  }

  async load(queries: Queries): Promise<void> {
    this.#lines.clear()
    this.#awaited.clear()
    for (const row of await queries.all<{ key: string; state: HeldState; source: string; order: string }>(selectAll, [this.#subscription, this.#partition])) {
      this.note(row, row.state)
    }
  }

  /** Whether an event of this key is held, so that a later one must wait behind it. */
  has(key: string): boolean {
    return this.#lines.has(key)
  }

  get isEmpty(): boolean {
    return this.#lines.size === 0
  }

  /** Whether this very event is held and will be tried again by itself. A dead letter will not: it waits for somebody. */
  isAwaited(source: string, order: string): boolean {
    return this.#awaited.size > 0 && this.#awaited.has(idOf({ source, order }))
  }

  /** Notes that an event is held, once that has committed. */
  note(event: Pick<Envelope, 'key' | 'source' | 'order'>, state: HeldState): void {
    let line = this.#lines.get(event.key)
    if (!line) this.#lines.set(event.key, (line = { dead: false, events: new Set() }))
    const id = idOf(event)
    line.events.add(id)
    if (state === 'dead' && !line.dead) {
      line.dead = true
      for (const waiting of line.events) this.#awaited.delete(waiting)
    }
    if (!line.dead) this.#awaited.add(id)
  }

  /** Notes that the first event of a key is held no longer. */
  forget(event: Pick<Envelope, 'key' | 'source' | 'order'>): void {
    const line = this.#lines.get(event.key)
    if (!line) return
    const id = idOf(event)
    line.events.delete(id)
    this.#awaited.delete(id)
    if (line.dead) {
      line.dead = false
      for (const waiting of line.events) this.#awaited.add(waiting)
    }
    if (line.events.size === 0) this.#lines.delete(event.key)
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

  /** Takes out the first event of a key. The next one is due at once, by itself: nobody may be there to go on. */
  async release(tx: Transaction, event: HeldEvent, now: number): Promise<void> {
    await tx.run(deleteHeld, [event.seq])
    await tx.run(reviveNext, [now, this.#subscription, this.#partition, event.key])
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

  /** When the next try is due of a key that is not among `busy`; undefined if none is. */
  async nextDueAt(queries: Queries, busy: ReadonlySet<string>): Promise<number | undefined> {
    const rows = await queries.all<{ key: string; dueAt: number }>(selectNext, [this.#subscription, this.#partition, busy.size + 1])
    return rows.find((row) => !busy.has(row.key))?.dueAt
  }
}

function idOf({ source, order }: Pick<Envelope, 'source' | 'order'>): string {
  return `${source} ${order}`
}

/** What is held of one key. */
interface Line {
  /** Its first event is a dead letter. */
  dead: boolean
  /** By {@link idOf}. */
  readonly events: Set<string>
}

function reasonValues(reason: HeldReason, now: number): Value[] {
  const { code, message, stack } = recordError(reason.error)
  return [reason.state, reason.attempts, Math.ceil(reason.dueAt), now, code, message, stack]
}
