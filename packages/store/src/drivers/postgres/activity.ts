import type { Host } from '@atoll/host'

/**
 * Tells whether a work waits for its store, or for something else. It waits for its store while a statement is
 * unanswered; and an answer takes no longer than the end of the turn in which it arrives to get to who asked. Who has
 * not asked again by then, nor ended, waits for something outside.
 *
 * Reads of committed state count as well: a work may ask for them. Whose they are nobody knows, so those that began
 * while it was at work count for it, which puts off the verdict and does not change it.
 */
export class Activity {
  readonly #host: Host
  readonly #onIdle: () => void
  #unanswered = 0
  #lookAsked = false
  #over = false

  constructor(host: Host, onIdle: () => void) {
    this.#host = host
    this.#onIdle = onIdle
    this.#look()
  }

  async during<T>(ask: () => Promise<T>): Promise<T> {
    this.#unanswered++
    try {
      return await ask()
    } finally {
      this.#unanswered--
      this.#look()
    }
  }

  /** The work has ended; nothing is told any more. */
  end(): void {
    this.#over = true
  }

  #look(): void {
    if (this.#lookAsked || this.#over || this.#unanswered > 0) return
    this.#lookAsked = true
    this.#host.turn(() => {
      this.#lookAsked = false
      if (!this.#over && this.#unanswered === 0) this.#onIdle()
    })
  }
}
