import type { Host } from '@atoll/host'

/**
 * How many calls may be tried again: a share of all calls, and a few per second whatever happens. When everything
 * fails, retries that know no bound multiply the load of what is already down; a share of it adds that share.
 */
export class RetryBudget {
  readonly #host: Host
  readonly #ratio: number
  readonly #perSecondMin: number
  /** Earned by calls. */
  #earned = 0
  /** Given by time. */
  #given: number
  #givenAtMs: number

  constructor(host: Host, ratio: number, perSecondMin: number) {
    this.#host = host
    this.#ratio = ratio
    this.#perSecondMin = perSecondMin
    this.#given = perSecondMin
    this.#givenAtMs = host.monotonicMs()
  }

  /** A call was made. */
  earn(): void {
    this.#earned = Math.min(this.#earned + this.#ratio, EARNED_MAX)
  }

  /** Takes one retry out of the budget; false if it is spent. */
  spend(): boolean {
    const now = this.#host.monotonicMs()
    this.#given = Math.min(this.#perSecondMin, this.#given + ((now - this.#givenAtMs) / 1_000) * this.#perSecondMin)
    this.#givenAtMs = now
    if (this.#given >= 1) this.#given--
    else if (this.#earned >= 1) this.#earned--
    else return false
    return true
  }
}

/** What a quiet time can save up: more would be a storm when it is spent at once. */
const EARNED_MAX = 100
