import { AtollError } from '@atoll/host'
import type { Queries, Reader, Statement, Transaction } from '@atoll/store/driver'
import { Cursor, type CursorStart, type Place } from './cursor.ts'

const selectEpoch: Statement = { sql: 'SELECT epoch FROM atoll_leases WHERE subscription = ? AND partition = ?' }
const selectCursors: Statement = {
  sql: 'SELECT source, type, number, "order", "offset", id, previous_offset AS "previousOffset", ahead, until FROM atoll_cursors WHERE subscription = ? AND partition = ?',
}
const insertCursor: Statement = {
  sql: `INSERT INTO atoll_cursors (subscription, source, partition, type, number, "order", "offset", id, previous_offset, ahead, until, epoch)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
}
const updateCursor: Statement = {
  sql: `UPDATE atoll_cursors SET number = ?, "order" = ?, "offset" = ?, id = ?, previous_offset = ?, ahead = ?
        WHERE subscription = ? AND source = ? AND partition = ? AND type = ? AND until = ? AND epoch = ?`,
}
const deleteDone: Statement = {
  sql: `DELETE FROM atoll_cursors WHERE subscription = ? AND partition = ? AND until > 0 AND number >= until AND until <=
        (SELECT number FROM atoll_cursors AS main WHERE main.subscription = atoll_cursors.subscription AND main.partition = atoll_cursors.partition
          AND main.source = atoll_cursors.source AND main.type = '')`,
}
const deleteLeft: Statement = {
  sql: 'DELETE FROM atoll_cursors WHERE subscription = ? AND partition = ? AND source = ? AND type = ? AND until = 0',
}
const selectSubscribed: Statement = {
  sql: 'SELECT type, source FROM atoll_subscribed WHERE subscription = ? AND partition = ?',
}
const deleteSubscribed: Statement = {
  sql: 'DELETE FROM atoll_subscribed WHERE subscription = ? AND partition = ? AND type = ?',
}
const insertSubscribed: Statement = {
  sql: 'INSERT INTO atoll_subscribed (subscription, partition, type, source) VALUES (?, ?, ?, ?)',
}
const countHandled: Statement = {
  sql: `INSERT INTO atoll_handled (subscription, partition, type, count) VALUES (?, ?, ?, ?)
        ON CONFLICT (subscription, partition, type) DO UPDATE SET count = atoll_handled.count + excluded.count`,
}

interface CursorRow extends CursorStart {
  source: string
  type: string
  ahead: string
  until: number
}

/**
 * The cursors of one partition of a subscription, and how they move: in the transaction of the effect, written once per
 * physical commit however many effects share it, and only by the owner of the lease.
 *
 * Cursors in memory move when the hook runs, right before the commit. Until that commit is known to have lasted, nobody
 * is told that they have moved, and no later commit may build on it: if it failed, every transaction of it rejects, and
 * the partition is read anew from the store.
 */
export class CursorBook {
  readonly cursors: Cursor[] = []
  readonly #subscription: string
  readonly #partition: number
  readonly #epoch: number
  #checkedIn: object | undefined
  #marks: Mark[] = []
  #marksIn: object | undefined
  /** The commit that cursors have moved for, and that is not known to have lasted. */
  #unconfirmed: object | undefined
  readonly #flushHook = (queries: Queries): Promise<void> => this.#flush(queries)

  constructor(subscription: string, partition: number, epoch: number) {
    this.#subscription = subscription
    this.#partition = partition
    this.#epoch = epoch
  }

  /**
   * Makes the rows that are missing. An event that the subscription did not handle when it last stood here gets a
   * backfill up to where it stands, so that no event is missed for having been declared late; and where it stands is
   * noted for one that it handles no more, so that none is missed should it come back (a release that is rolled back,
   * and forward again).
   */
  async open(tx: Transaction, events: readonly HandledEvent[]): Promise<void> {
    const here = [this.#subscription, this.#partition]
    const [, rows, known] = await Promise.all([
      tx.run(deleteDone, here),
      tx.all<CursorRow>(selectCursors, here),
      tx.all<{ type: string; source: string }>(selectSubscribed, here),
    ])
    const mainOf = (source: string): CursorRow | undefined =>
      rows.find((row) => row.source === source && row.type === '')
    for (const { type, source } of known) {
      if (events.some((event) => event.type === type)) continue
      await tx.run(deleteSubscribed, [...here, type])
      const main = mainOf(source)
      if (main)
        await this.#insert(
          tx,
          source,
          type,
          placeAfter(
            main,
            rows.filter((row) => row.source === source && row.type === type),
          ),
          0,
        )
    }
    for (const { type, source } of events) {
      if (known.some((row) => row.type === type)) continue
      await tx.run(insertSubscribed, [...here, type, source])
      const main = mainOf(source)
      if (!main) continue
      const left = rows.find((row) => row.source === source && row.type === type && row.until === 0)
      const until = furthestOf(main)
      if (left) await tx.run(deleteLeft, [...here, source, type])
      if (until > (left?.number ?? 0)) await this.#insert(tx, source, type, left ?? beginning, until)
    }
    for (const source of new Set(events.map((event) => event.source))) {
      if (!mainOf(source)) await this.#insert(tx, source, '', beginning, 0)
    }
  }

  async #insert(tx: Transaction, source: string, type: string, at: CursorPlace, until: number): Promise<void> {
    await tx.run(insertCursor, [
      this.#subscription,
      source,
      this.#partition,
      type,
      at.number,
      at.order,
      at.offset,
      at.id,
      at.previousOffset,
      at.ahead,
      until,
      this.#epoch,
    ])
  }

  async load(reader: Reader, events: readonly HandledEvent[]): Promise<void> {
    this.cursors.length = 0
    const rows = await reader.all<CursorRow>(selectCursors, [this.#subscription, this.#partition])
    // Backfills first, each before those of later times.
    for (const row of rows.sort((a, b) => (a.until || Infinity) - (b.until || Infinity))) {
      const isHandled =
        row.type === ''
          ? events.some((event) => event.source === row.source)
          : row.until > 0 && events.some((event) => event.type === row.type)
      if (!isHandled) continue // its row stays as it is, should its handler come back
      const cursor = new Cursor(row.source, row.type, row.until || undefined, row)
      for (const [number, id] of parseAhead(row)) cursor.ahead.set(number, { id })
      if (cursor.ahead.size > 0) cursor.isProven = false
      this.cursors.push(cursor)
    }
  }

  /** Whether the log was seen to have what every cursor stands at. */
  get isProven(): boolean {
    return this.cursors.every((cursor) => cursor.isProven)
  }

  /** Up to which number the past of an event is the affair of backfills; 0 if it has none. */
  backfilledUntil(source: string, type: string): number {
    let until = 0
    for (const cursor of this.cursors)
      if (cursor.type === type && cursor.source === source) until = Math.max(until, cursor.until ?? 0)
    return until
  }

  /** Throws FENCED if the lease has passed to another owner. Looks once per physical commit. */
  check(tx: Transaction): Promise<void> | undefined {
    return this.#checkedIn === tx.commit ? undefined : this.#check(tx)
  }

  async #check(tx: Transaction): Promise<void> {
    if (this.#unconfirmed !== undefined && this.#unconfirmed !== tx.commit) {
      throw new AtollError(
        'UNAVAILABLE',
        `the commit before this one failed: partition ${this.#partition} of ${this.#subscription} is read anew`,
      )
    }
    const lease = await tx.get<{ epoch: number }>(selectEpoch, [this.#subscription, this.#partition])
    if (lease?.epoch !== this.#epoch) throw this.#fenced()
    this.#checkedIn = tx.commit
  }

  /** Notes in `tx` that a record needs no more work. `handled`: its type, if it was handled. */
  mark(tx: Transaction, cursor: Cursor, place: Place, handled?: string): void {
    this.#collect({ tx, passed: { cursor, place }, handled })
  }

  /** The commit that carried a work has lasted. Called as soon as the work hears of it, before anybody else does. */
  confirm(commit: object | undefined): void {
    if (commit === undefined || this.#unconfirmed !== commit) return
    this.#unconfirmed = undefined
    for (const cursor of this.cursors) cursor.confirm()
  }

  /** Tells those who wait for a cursor, as far as its moves are known to have lasted. */
  announce(cursor: Cursor): void {
    if (this.#unconfirmed === undefined) cursor.confirm()
    cursor.announce()
  }

  /** Counts an event as handled that the cursor had passed before: one that had been held. */
  count(tx: Transaction, type: string): void {
    this.#collect({ tx, passed: undefined, handled: type })
  }

  #collect(mark: Mark): void {
    if (this.#marksIn !== mark.tx.commit) {
      this.#marksIn = mark.tx.commit
      this.#marks = []
    }
    this.#marks.push(mark)
    mark.tx.beforeCommit(this, this.#flushHook)
  }

  /**
   * The first work's hook speaks for all works of the commit; what a work noted that was undone after that, did not
   * happen.
   */
  async #flush(queries: Queries): Promise<void> {
    const moved = new Set<Cursor>()
    const counts = new Map<string, number>()
    for (const { tx, passed, handled } of this.#marks) {
      if (tx.undone) continue
      this.#unconfirmed = tx.commit
      if (passed) {
        passed.cursor.pass(passed.place)
        moved.add(passed.cursor)
      }
      if (handled !== undefined) counts.set(handled, (counts.get(handled) ?? 0) + 1)
    }
    const writes = Array.from(moved, (cursor) => this.#write(queries, cursor))
    const counted = Array.from(counts, ([type, count]) =>
      queries.run(countHandled, [this.#subscription, this.#partition, type, count]),
    )
    await Promise.all([...writes, ...counted])
  }

  /** Writes cursors that moved past records of no concern, so that a restart need not read them again. */
  async settle(tx: Transaction): Promise<void> {
    await this.check(tx)
    for (const cursor of this.cursors) if (cursor.moved) await this.#write(tx, cursor)
  }

  async #write(queries: Queries, cursor: Cursor): Promise<void> {
    const ahead =
      cursor.ahead.size === 0 ? '[]' : JSON.stringify(Array.from(cursor.ahead, ([number, { id }]) => [number, id]))
    const which = [this.#subscription, cursor.source, this.#partition, cursor.type, cursor.until ?? 0, this.#epoch]
    if (
      (await queries.run(updateCursor, [
        cursor.number,
        cursor.order,
        cursor.offset,
        cursor.id,
        cursor.previousOffset,
        ahead,
        ...which,
      ])) !== 1
    )
      throw this.#fenced()
    cursor.moved = false
  }

  #fenced(): AtollError {
    return new AtollError(
      'FENCED',
      `another instance has taken over partition ${this.#partition} of ${this.#subscription}; this transaction is undone`,
    )
  }
}

/** An event that a subscription handles, and the service that emits it. */
export interface HandledEvent {
  readonly type: string
  readonly source: string
}

/** What one work has to say of an event, if that work is not undone. */
interface Mark {
  readonly tx: Transaction
  readonly passed: { readonly cursor: Cursor; readonly place: Place } | undefined
  readonly handled: string | undefined
}

/** What of a row says where a cursor stands. */
type CursorPlace = CursorStart & Pick<CursorRow, 'ahead'>

const beginning: CursorPlace = { number: 0, order: '', offset: null, id: null, previousOffset: null, ahead: '[]' }

/**
 * Where the present of an event begins: where the subscription stands, and not before the end of its backfills,
 * unfinished as they may be.
 */
function placeAfter(main: CursorRow, backfills: readonly CursorRow[]): CursorPlace {
  const number = Math.max(main.number, ...backfills.map((row) => row.until))
  const known =
    number === main.number ? { id: main.id, previousOffset: main.previousOffset } : { id: null, previousOffset: null }
  return {
    number,
    order: main.order,
    offset: main.offset,
    ...known,
    ahead: JSON.stringify(parseAhead(main).filter(([ahead]) => ahead > number)),
  }
}

/** The last number that is handled, ahead of a cursor or there. */
export function furthestOf(row: Pick<CursorRow, 'number' | 'ahead'>): number {
  return Math.max(row.number, ...parseAhead(row).map(([number]) => number))
}

/** What is handled ahead of a cursor: numbers, each with the id of its record. */
export function parseAhead({ ahead }: Pick<CursorRow, 'ahead'>): [number: number, id: string | null][] {
  // written by #write; by earlier code, numbers alone
  const entries = JSON.parse(ahead) as ([number, string] | number)[]
  return entries.map((entry) => (typeof entry === 'number' ? [entry, null] : entry))
}
