import { AtollError } from '@atoll/host'

/**
 * Events at whose statements their store fails, again and again, while it carries out all else: a statement may need
 * more memory than the server gives it, or a function may raise what sounds like a full disk. A store that is in
 * trouble holds up everybody, and that is right; these hold up nobody but their key.
 *
 * Kept beside the readers, which are opened anew after each failure of the store: that the next one came as far as this
 * event shows that the store works.
 */
export class StatementFailures {
  readonly #failures = new Map<string, number>()

  /**
   * The store failed at what the handler of this event asked for. What to hold the event with, if that was so often
   * enough in a row.
   */
  failed({ id }: { readonly id: string }, cause: unknown): StatementFailure | undefined {
    // nobody may go on writing to a damaged store as if nothing was
    if (AtollError.from(cause).code === 'STORE_CORRUPT') return undefined
    const times = (this.#failures.get(id) ?? 0) + 1
    // of partitions that others read by now; what is not known is found out again
    if (times === 1 && this.#failures.size >= KEPT_MAX) this.#failures.clear()
    this.#failures.set(id, times)
    return times < FAILURES_IN_A_ROW ? undefined : new StatementFailure(cause, times - FAILURES_IN_A_ROW)
  }

  /** Its statements were carried out. */
  passed({ id }: { readonly id: string }): void {
    if (this.#failures.size > 0) this.#failures.delete(id)
  }
}

/** A store failed at the statements of one event alone. `earlier`: how often the event was held for that before. */
export class StatementFailure extends Error {
  readonly failure: AtollError
  readonly earlier: number

  constructor(cause: unknown, earlier: number) {
    super('the store fails at the statements of this event', { cause })
    this.failure = AtollError.from(cause)
    this.earlier = earlier
  }
}

/** So often a store is believed that it is in trouble. */
const FAILURES_IN_A_ROW = 5
const KEPT_MAX = 10_000
