import { AtollError, type Host } from '@atoll/host'
import type { Queries, Statement, Transaction, Value } from '@atoll/store/driver'
import type { Envelope } from '../handling/envelope.ts'
import { DueQueue } from './due-queue.ts'
import { recordError } from './recorded-error.ts'

/** `retrying`: waits for another try. `parked`: waits behind one of its key. `dead`: its tries are used up. */
export type HeldState = 'retrying' | 'parked' | 'dead'

/** An event that the cursor has passed and that is not handled. */
export interface HeldEvent extends Envelope {
  readonly seq: number
  readonly state: HeldState
  readonly attempts: number
  readonly dueAt: number
  /** What its last try failed with; empty if it has not been tried. */
  readonly errorCode: string
}

const columns = `seq, state, attempts, due_at AS "dueAt", error_code AS "errorCode", source, partition, number, "order", id, type, version, key, at, data, trace, cause`
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
const selectPage: Statement = {
  sql: `SELECT key, seq, state, due_at AS "dueAt", source, "order" FROM atoll_held WHERE subscription = ? AND partition = ? AND (key, seq) > (?, ?) ORDER BY key, seq LIMIT ?`,
}
const selectOneOfKey: Statement = {
  sql: 'SELECT seq FROM atoll_held WHERE subscription = ? AND partition = ? AND key = ? LIMIT 1',
}
const selectFirst: Statement = {
  sql: `SELECT ${columns} FROM atoll_held WHERE subscription = ? AND partition = ? AND key = ? ORDER BY seq LIMIT 1`,
}
const selectOne: Statement = {
  sql: `SELECT ${columns} FROM atoll_held WHERE subscription = ? AND source = ? AND partition = ? AND number = ?`,
}
const selectOfKey: Statement = {
  sql: `SELECT ${columns} FROM atoll_held WHERE subscription = ? AND partition = ? AND key = ? ORDER BY seq`,
}

/** Why an event is held, and until when. */
export interface HeldReason {
  readonly state: HeldState
  readonly attempts: number
  readonly dueAt: number
  readonly error: AtollError | undefined
}

/** The reason of an event that waits behind another. */
export const parked: HeldReason = { state: 'parked', attempts: 0, dueAt: 0, error: undefined }

/**
 * The held events of one partition of a subscription. First in, first out per key. The first of a key is dead or is to
 * be tried again; those behind it are parked.
 *
 * In the store a try is due by the wall clock, which goes on while nobody is there; in memory by the monotonic one,
 * which nobody sets. So a wall clock that is set back makes no delay longer than its limit.
 */
export class HeldEvents {
  readonly #subscription: string
  readonly #partition: number
  readonly #host: Host
  readonly #delayMsMax: number
  /** By key, what is held of it. Later events of these keys are parked. */
  readonly #lines = new Map<string, Line>()
  /** Sources and orders of events that are held and will be tried by themselves. */
  readonly #awaited = new Set<string>()
  /** The keys that are to be tried by themselves and that nobody works on. */
  readonly #due = new DueQueue()

  /** `delayMsMax`: no try is further away than that, whatever the wall clock says. */
  constructor(subscription: string, partition: number, host: Host, delayMsMax: number) {
    this.#subscription = subscription
    this.#partition = partition
    this.#host = host
    this.#delayMsMax = delayMsMax
  }

  /** Reads what the store has of them, a page at a time: others of this process get their turn between. */
  async load(queries: Queries): Promise<void> {
    this.#lines.clear()
    this.#awaited.clear()
    this.#due.clear()
    let last: Pick<PageRow, 'key' | 'seq'> = { key: '', seq: 0 } // no key is empty
    for (;;) {
      const rows = await queries.all<PageRow>(selectPage, [
        this.#subscription,
        this.#partition,
        last.key,
        last.seq,
        PAGE_ROWS,
      ])
      for (const row of rows) this.note(row, row)
      if (rows.length < PAGE_ROWS) return
      last = rows[rows.length - 1]!
      await new Promise<void>((resolve) => this.#host.turn(resolve))
    }
  }

  /** Whether an event of this key is held, so that a later one must wait behind it. */
  has(key: string): boolean {
    return this.#lines.has(key)
  }

  get isEmpty(): boolean {
    return this.#lines.size === 0
  }

  /**
   * Whether this very event is held and will be tried again by itself. A dead letter will not: it waits for somebody.
   */
  isAwaited(source: string, order: string): boolean {
    return this.#awaited.size > 0 && this.#awaited.has(idOf({ source, order }))
  }

  /** Notes that an event is held, once that has committed. */
  note(event: Pick<Envelope, 'key' | 'source' | 'order'>, { state, dueAt }: Pick<HeldReason, 'state' | 'dueAt'>): void {
    let line = this.#lines.get(event.key)
    if (!line) this.#lines.set(event.key, (line = { dead: false, busy: false, dueMs: undefined, events: new Set() }))
    const id = idOf(event)
    line.events.add(id)
    if (state === 'dead' && !line.dead) {
      line.dead = true
      for (const waiting of line.events) this.#awaited.delete(waiting)
    }
    if (!line.dead) this.#awaited.add(id)
    if (state === 'dead') this.#plan(event.key, line, undefined)
    else if (state === 'retrying')
      this.#plan(
        event.key,
        line,
        this.#host.monotonicMs() + Math.min(Math.max(0, dueAt - this.#host.now()), this.#delayMsMax),
      )
  }

  /** Notes that the first event of a key is held no longer. The next one is due at once. */
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
    if (line.events.size === 0) {
      this.#lines.delete(event.key)
      this.#due.delete(event.key)
    } else this.#plan(event.key, line, this.#host.monotonicMs())
  }

  #plan(key: string, line: Line, dueMs: number | undefined): void {
    line.dueMs = dueMs
    if (dueMs === undefined || line.busy) this.#due.delete(key)
    else this.#due.set(key, dueMs)
  }

  /** When the next try is due, by the clock that does not jump; undefined if there is none to wait for. */
  get nextDueMs(): number | undefined {
    return this.#due.firstMs
  }

  /** A key whose try is due and that nobody works on, the longest due first. It is the caller's to work on. */
  takeDue(nowMs: number): string | undefined {
    const key = this.#due.take(nowMs)
    const line = key === undefined ? undefined : this.#lines.get(key)
    if (line) line.dueMs = undefined
    return key
  }

  /** Somebody works on what is held of a key: until it is vacated, it is not due. */
  occupy(key: string): void {
    const line = this.#lines.get(key)
    if (!line) return
    line.busy = true
    this.#due.delete(key)
  }

  vacate(key: string): void {
    const line = this.#lines.get(key)
    if (!line) return
    line.busy = false
    this.#plan(key, line, line.dueMs)
  }

  /**
   * Resolves with what became of it: with nothing left to wait behind, an event is not parked, but to be tried at once.
   */
  async hold(tx: Transaction, event: Envelope, wanted: HeldReason, now: number): Promise<HeldReason> {
    const mayGoOn =
      wanted.state === 'parked' && !(await tx.get(selectOneOfKey, [this.#subscription, this.#partition, event.key]))
    const reason: HeldReason = mayGoOn ? { ...wanted, state: 'retrying', dueAt: now } : wanted
    await tx.run(insertHeld, [
      this.#subscription,
      this.#partition,
      event.key,
      ...reasonValues(reason, now),
      event.source,
      event.number,
      event.order,
      event.id,
      event.type,
      event.version,
      event.at,
      event.data,
      event.trace,
      event.cause,
    ])
    return reason
  }

  async update(tx: Transaction, event: HeldEvent, reason: HeldReason, now: number): Promise<void> {
    await tx.run(updateHeld, [...reasonValues(reason, now), event.seq])
  }

  /** Takes out the first event of a key. The next one is due at once, by itself: nobody may be there to go on. */
  async release(tx: Transaction, event: HeldEvent, now: number): Promise<void> {
    if ((await tx.run(deleteHeld, [event.seq])) !== 1)
      throw new AtollError('FENCED', `${event.type} ${event.id} is not held any more: somebody else has handled it`)
    await tx.run(reviveNext, [now, this.#subscription, this.#partition, event.key])
  }

  first(queries: Queries, key: string): Promise<HeldEvent | undefined> {
    return queries.get<HeldEvent>(selectFirst, [this.#subscription, this.#partition, key])
  }

  ofKey(queries: Queries, key: string): Promise<HeldEvent[]> {
    return queries.all<HeldEvent>(selectOfKey, [this.#subscription, this.#partition, key])
  }

  /** An event by its place; undefined if it is not held. */
  at(queries: Queries, source: string, number: number): Promise<HeldEvent | undefined> {
    return queries.get<HeldEvent>(selectOne, [this.#subscription, source, this.#partition, number])
  }
}

function idOf({ source, order }: Pick<Envelope, 'source' | 'order'>): string {
  return `${source} ${order}`
}

interface PageRow extends Pick<HeldEvent, 'key' | 'seq' | 'state' | 'dueAt' | 'source' | 'order'> {}

/** What is held of one key. */
interface Line {
  /** Its first event is a dead letter. */
  dead: boolean
  /** Somebody works on it. */
  busy: boolean
  /** When its first event is to be tried by itself; undefined if it is not, or is being tried. */
  dueMs: number | undefined
  /** By {@link idOf}. */
  readonly events: Set<string>
}

function reasonValues(reason: HeldReason, now: number): Value[] {
  const { code, message, stack } = recordError(reason.error)
  return [reason.state, reason.attempts, Math.ceil(reason.dueAt), now, code, message, stack]
}

/** How many held events are read at a time. */
const PAGE_ROWS = 1_000
