import type { OutboxEvent } from './outbox.ts'

/**
 * Committed events that came to the relay by hand, by their place in the outbox: reading them back would only say the
 * same.
 */
export class Offers {
  readonly #events = new Map<number, OutboxEvent>()
  /** There may be rows that were not handed over: what was is not all. */
  #isPartial = false

  /** There are rows in the outbox that nobody hands over. */
  miss(): void {
    this.#isPartial = true
  }

  /** Takes what comes after a place; beyond its bound it is read back. */
  add(events: readonly OutboxEvent[], after: number): void {
    if (this.#events.size >= EVENTS_MAX) this.#isPartial = true
    else for (const event of events) if (event.seq > after) this.#events.set(event.seq, event)
  }

  /** The events that follow a place without a hole, and whether nothing that is known of is behind them. */
  following(after: number, eventsMax: number): { readonly rows: readonly OutboxEvent[]; readonly isAll: boolean } {
    const rows: OutboxEvent[] = []
    for (let seq = after + 1; rows.length < eventsMax; seq++) {
      const event = this.#events.get(seq)
      if (!event) break
      rows.push(event)
    }
    return { rows, isAll: rows.length === this.#events.size && !this.#isPartial }
  }

  delete(seq: number): void {
    this.#events.delete(seq)
  }

  /** Forgets all: everything is read from the outbox next. */
  clear(): void {
    this.#events.clear()
    this.#isPartial = false
  }
}

const EVENTS_MAX = 10_000
