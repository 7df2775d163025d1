import { overloaded } from 'atoll'

/** How much of an expensive work happens at a time, and how much of it may wait. */
export interface GateLimits {
  readonly inFlightMax: number
  /** More is refused with OVERLOADED, before it began. */
  readonly waitingMax: number
}

/**
 * Lets some work happen at a time, in the order in which it came. What nobody waits for any more when its turn comes is
 * not done.
 */
export class Gate {
  readonly #what: string
  readonly #limits: GateLimits
  readonly #waiting = new Set<() => void>()
  #inFlight = 0

  /** `what` is what there is too much of, for messages. */
  constructor(what: string, limits: GateLimits) {
    this.#what = what
    this.#limits = limits
  }

  /**
   * Does the work in its turn. Rejects with OVERLOADED if too much waits already; with the signal's reason if that
   * aborts before the turn comes.
   */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#enter(signal)
    try {
      return await work()
    } finally {
      this.#leave()
    }
  }

  /** Throws OVERLOADED if it would refuse. For those who have something to do before they come to it. */
  assertRoom(): void {
    if (this.#waiting.size >= this.#limits.waitingMax)
      throw overloaded(`${this.#waiting.size} ${this.#what} wait already`)
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    if (this.#inFlight < this.#limits.inFlightMax) return void this.#inFlight++
    this.assertRoom()
    await new Promise<void>((resolve, reject) => {
      const enter = (): void => {
        signal?.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = (): void => {
        this.#waiting.delete(enter)
        reject(signal!.reason as Error) // it is the signal's own event
      }
      this.#waiting.add(enter)
      signal?.addEventListener('abort', giveUp, { once: true })
    })
  }

  /** Hands the turn to the next one that waits. */
  #leave(): void {
    const [next] = this.#waiting
    if (!next) return void this.#inFlight--
    this.#waiting.delete(next)
    next()
  }
}
