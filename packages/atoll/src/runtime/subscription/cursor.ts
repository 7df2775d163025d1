import { isOrderBefore, type Offset } from '@atoll/log/driver'

/** A place in one source and partition: that of a record. */
export interface Place {
  readonly number: number
  readonly order: string
  readonly offset: Offset
  /** The record's. */
  readonly id: string
}

/** Where a cursor stood when it was written. */
export interface CursorStart {
  /** 0 at the beginning. */
  readonly number: number
  readonly order: string
  readonly offset: Offset | null
  /** Of the record at `number`; null at the beginning, and where it is not known. */
  readonly id: string | null
  /** Of the record before that one; null if there is none, or if it is not known. */
  readonly previousOffset: Offset | null
}

/**
 * Where a subscription stands in one partition of one source. Events of different keys are handled side by side and may
 * end out of order, so there is the place up to which everything is handled, and a small set of numbers ahead of it.
 *
 * A cursor with a `type` backfills one event that the subscription began to handle later: it walks the past up to
 * `until` and looks at that event alone.
 */
export class Cursor {
  readonly source: string
  readonly type: string
  readonly until: number | undefined
  /** Everything up to here is handled, held, or of no concern. */
  number: number
  order: string
  offset: Offset | null
  /** Of the record at `number`, by which another history is found out. */
  id: string | null
  previousOffset: Offset | null
  /** Whether the log was seen to have that record since this cursor was loaded. */
  isProven: boolean
  /** How much of that is known to have lasted; the commit that carries the rest is under way. */
  #reached: string
  /**
   * Handled beyond `number`. After a restart the id is known before the place is; null if code that kept none has noted
   * it.
   */
  readonly ahead = new Map<number, Place | { readonly id: string | null }>()
  /** How far the log has been read. */
  readNumber: number
  readOffset: Offset | null
  /** Whether what is in memory has moved on from what is in the store. */
  moved = false
  readonly #waiting: { order: string; resolve: () => void }[] = []

  constructor(source: string, type: string, until: number | undefined, at: CursorStart) {
    this.source = source
    this.type = type
    this.until = until
    this.number = at.number
    this.order = at.order
    this.#reached = at.order
    this.offset = at.offset
    this.id = at.id
    this.previousOffset = at.previousOffset
    this.isProven = at.id === null
    this.readNumber = at.number
    this.readOffset = at.offset
  }

  /** Notes that a record needs no more work. */
  pass(place: Place): void {
    this.moved = true
    if (place.number !== this.number + 1) {
      this.ahead.set(place.number, place)
      return
    }
    this.ahead.delete(place.number)
    this.#stepTo(place)
    for (let next = this.ahead.get(this.number + 1); next && 'offset' in next; next = this.ahead.get(this.number + 1)) {
      this.ahead.delete(next.number)
      this.#stepTo(next)
    }
  }

  /** The last number that is handled, ahead of where it stands or there. */
  get furthest(): number {
    return Math.max(this.number, ...this.ahead.keys())
  }

  /** Whether a backfill has reached its end. */
  get done(): boolean {
    return this.until !== undefined && this.number >= this.until
  }

  /** All moves so far have lasted. */
  confirm(): void {
    this.#reached = this.order
  }

  /** Whether everything up to the order token is passed, and has lasted: a read from now on finds its effects. */
  hasReached(order: string): boolean {
    return !isOrderBefore(this.#reached, order)
  }

  /** Calls `resolve` once {@link hasReached}; returns what takes that back. */
  whenReached(order: string, resolve: () => void): () => void {
    const waiter = { order, resolve }
    this.#waiting.push(waiter)
    return () => {
      const at = this.#waiting.indexOf(waiter)
      if (at >= 0) this.#waiting.splice(at, 1)
    }
  }

  /** Tells those who wait. */
  announce(): void {
    for (let index = this.#waiting.length - 1; index >= 0; index--) {
      const waiter = this.#waiting[index]!
      if (!this.hasReached(waiter.order)) continue
      this.#waiting.splice(index, 1)
      waiter.resolve()
    }
  }

  /** Tells all who wait. */
  release(): void {
    for (const waiter of this.#waiting.splice(0)) waiter.resolve()
  }

  #stepTo(place: Place): void {
    this.previousOffset = this.offset
    this.number = place.number
    this.order = place.order
    this.offset = place.offset
    this.id = place.id
  }
}
