import type { Host } from '@atoll/host'

/** How often a question may be asked, milliseconds. */
export interface Pace {
  readonly everyMs: number
  /** The same after one that was not answered. */
  readonly afterFailureMs: number
}

/**
 * A question that many have at the same time. It is asked once for all who came before it began, and no more often than
 * its pace allows. Those who come while it is under way want an answer that is younger, and share the next one.
 */
export class SharedQuestion {
  readonly #host: Host
  readonly #pace: Pace
  readonly #answer: () => Promise<void>
  /** One that has not begun: whoever comes now may share it. */
  #next: Promise<boolean> | undefined
  #underWay: Promise<boolean> | undefined
  #notBeforeMs = -Infinity

  constructor(host: Host, pace: Pace, answer: () => Promise<void>) {
    this.#host = host
    this.#pace = pace
    this.#answer = answer
  }

  /**
   * Resolves with true once an answer is there that was asked for after this call; with false if that question failed.
   */
  ask(): Promise<boolean> {
    return (this.#next ??= this.#askWhenDue())
  }

  async #askWhenDue(): Promise<boolean> {
    await this.#underWay
    const delayMs = this.#notBeforeMs - this.#host.monotonicMs()
    if (delayMs > 0) await new Promise<void>((resolve) => this.#host.after(delayMs, resolve))
    this.#next = undefined
    this.#notBeforeMs = this.#host.monotonicMs() + this.#pace.everyMs
    return (this.#underWay = this.#askNow())
  }

  async #askNow(): Promise<boolean> {
    try {
      await this.#answer()
      return true
    } catch {
      this.#notBeforeMs = this.#host.monotonicMs() + this.#pace.afterFailureMs
      return false
    }
  }
}
