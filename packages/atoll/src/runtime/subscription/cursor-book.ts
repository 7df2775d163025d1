import { AtollError } from '@atoll/host'
import type { Queries, Reader, Statement, Transaction } from '@atoll/store/driver'
import { Cursor, type Place } from './cursor.ts'

const selectEpoch: Statement = { sql: 'SELECT epoch FROM atoll_leases WHERE subscription = ? AND partition = ?' }
const selectCursors: Statement = {
  sql: 'SELECT source, type, number, position, "offset", ahead, until FROM atoll_cursors WHERE subscription = ? AND partition = ?',
}
const insertCursor: Statement = {
  sql: `INSERT INTO atoll_cursors (subscription, source, partition, type, number, position, "offset", ahead, until, epoch)
        VALUES (?, ?, ?, ?, 0, '', NULL, '[]', ?, ?) ON CONFLICT DO NOTHING`,
}
const updateCursor: Statement = {
  sql: `UPDATE atoll_cursors SET number = ?, position = ?, "offset" = ?, ahead = ?
        WHERE subscription = ? AND source = ? AND partition = ? AND type = ? AND epoch = ?`,
}
const deleteDone: Statement = {
  sql: `DELETE FROM atoll_cursors WHERE subscription = ? AND partition = ? AND type <> '' AND number >= until AND until <=
        (SELECT number FROM atoll_cursors AS main WHERE main.subscription = atoll_cursors.subscription AND main.partition = atoll_cursors.partition
          AND main.source = atoll_cursors.source AND main.type = '')`,
}
const selectSubscribed: Statement = { sql: 'SELECT type FROM atoll_subscribed WHERE subscription = ? AND partition = ?' }
const insertSubscribed: Statement = { sql: 'INSERT INTO atoll_subscribed (subscription, partition, type) VALUES (?, ?, ?)' }
const countHandled: Statement = {
  sql: `INSERT INTO atoll_handled (subscription, partition, type, count) VALUES (?, ?, ?, ?)
        ON CONFLICT (subscription, partition, type) DO UPDATE SET count = count + excluded.count`,
}

interface CursorRow {
  source: string
  type: string
  number: number
  position: string
  offset: string | null
  ahead: string
  until: number | null
}

/**
 * The cursors of one partition of a subscription, and how they move: in the transaction of the effect, written once per physical
 * commit however many effects share it, and only by the owner of the lease.
 *
 * Cursors in memory move when the hook runs, right before the commit. If that commit fails, every transaction of it rejects, and the
 * partition is read anew from the store.
 */
export class CursorBook {
  readonly cursors: Cursor[] = []
  readonly #subscription: string
  readonly #partition: number
  readonly #epoch: number
  #checkedIn: object | undefined
  #marks: { cursor: Cursor; place: Place }[] = []
  #counts = new Map<string, number>()
  #marksIn: object | undefined
  readonly #flushHook = (queries: Queries): Promise<void> => this.#flush(queries)

  constructor(subscription: string, partition: number, epoch: number) {
    this.#subscription = subscription
    this.#partition = partition
    this.#epoch = epoch
  }

  /**
   * Makes the rows that are missing. An event that the subscription did not handle when it last stood here gets a backfill up to
   * where it stands, so that no event is missed for having been declared late.
   */
  async open(tx: Transaction, events: readonly HandledEvent[]): Promise<void> {
    const here = [this.#subscription, this.#partition]
    await tx.run(deleteDone, here)
    const rows = await tx.all<CursorRow>(selectCursors, here)
    const known = new Set((await tx.all<{ type: string }>(selectSubscribed, here)).map((row) => row.type))
    for (const { type, source } of events) {
      if (known.has(type)) continue
      await tx.run(insertSubscribed, [...here, type])
      const row = rows.find((row) => row.source === source && row.type === '')
      const until = row ? Math.max(row.number, ...parseAhead(row)) : 0
      if (until > 0) await tx.run(insertCursor, [this.#subscription, source, this.#partition, type, until, this.#epoch])
    }
    for (const source of new Set(events.map((event) => event.source))) {
      if (rows.some((row) => row.source === source && row.type === '')) continue
      await tx.run(insertCursor, [this.#subscription, source, this.#partition, '', null, this.#epoch])
    }
  }

  async load(reader: Reader, events: readonly HandledEvent[]): Promise<void> {
    this.cursors.length = 0
    const sources = new Set(events.map((event) => event.source))
    for (const row of await reader.all<CursorRow>(selectCursors, [this.#subscription, this.#partition])) {
      if (!sources.has(row.source)) continue // no longer handled; it stands where it stood, should it come back
      const cursor = new Cursor(row.source, row.type, row.until ?? undefined, { number: row.number, order: row.position, offset: row.offset })
      for (const number of parseAhead(row)) cursor.ahead.set(number, undefined)
      this.cursors.push(cursor)
    }
  }

  /** Throws FENCED if the lease has passed to another owner. Looks once per physical commit. */
  async check(tx: Transaction): Promise<void> {
    if (this.#checkedIn === tx.commit) return
    const lease = await tx.get<{ epoch: number }>(selectEpoch, [this.#subscription, this.#partition])
    if (lease?.epoch !== this.#epoch) throw this.#fenced()
    this.#checkedIn = tx.commit
  }

  /** Notes in `tx` that a record needs no more work; as the last thing that the work does. `handled`: its type, if it was handled. */
  mark(tx: Transaction, cursor: Cursor, place: Place, handled?: string): void {
    this.#collect(tx)
    this.#marks.push({ cursor, place })
    if (handled !== undefined) this.#counts.set(handled, (this.#counts.get(handled) ?? 0) + 1)
  }

  /** Counts an event as handled that the cursor had passed before: one that had been held. */
  count(tx: Transaction, type: string): void {
    this.#collect(tx)
    this.#counts.set(type, (this.#counts.get(type) ?? 0) + 1)
  }

  #collect(tx: Transaction): void {
    if (this.#marksIn !== tx.commit) {
      this.#marksIn = tx.commit
      this.#marks = []
      this.#counts = new Map()
    }
    tx.beforeCommit(this, this.#flushHook)
  }

  async #flush(queries: Queries): Promise<void> {
    const moved = new Set<Cursor>()
    for (const { cursor, place } of this.#marks) {
      cursor.pass(place)
      moved.add(cursor)
    }
    for (const cursor of moved) {
      const ahead = cursor.ahead.size === 0 ? '[]' : JSON.stringify([...cursor.ahead.keys()])
      const values = [cursor.number, cursor.order, cursor.offset, ahead, this.#subscription, cursor.source, this.#partition, cursor.type, this.#epoch]
      if ((await queries.run(updateCursor, values)) !== 1) throw this.#fenced()
      cursor.moved = false
    }
    for (const [type, count] of this.#counts) await queries.run(countHandled, [this.#subscription, this.#partition, type, count])
  }

  /** Writes cursors that moved past records of no concern, so that a restart need not read them again. */
  async settle(tx: Transaction): Promise<void> {
    await this.check(tx)
    for (const cursor of this.cursors) {
      if (!cursor.moved) continue
      const ahead = JSON.stringify([...cursor.ahead.keys()])
      await tx.run(updateCursor, [cursor.number, cursor.order, cursor.offset, ahead, this.#subscription, cursor.source, this.#partition, cursor.type, this.#epoch])
    }
  }

  #fenced(): AtollError {
    return new AtollError('FENCED', `another instance has taken over partition ${this.#partition} of ${this.#subscription}; this transaction is undone`)
  }
}

/** An event that a subscription handles, and the service that emits it. */
export interface HandledEvent {
  readonly type: string
  readonly source: string
}

function parseAhead(row: CursorRow): number[] {
  return JSON.parse(row.ahead) as number[] // written by #flush
}
