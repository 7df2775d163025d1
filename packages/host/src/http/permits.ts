import { AtollError } from '../error.ts'
import type { Host } from '../host.ts'

/** A number of permits for work that may be under way at a time. */
export class Permits {
  readonly #host: Host
  readonly #max: number
  readonly #what: string
  #taken = 0

  /** `what` says what takes a permit, and under which limit: `requests are under way (requestsInFlightMax)`. */
  constructor(host: Host, max: number, what: string) {
    this.#host = host
    this.#max = max
    this.#what = what
  }

  /** A permit until its `release`. OVERLOADED, in the name of `who`, if all are taken. */
  take(who: string): Permit {
    this.#acquire(who)
    return new Permit(
      this.#host,
      () => this.#acquire(who),
      () => this.#taken--,
    )
  }

  #acquire(who: string): void {
    if (this.#taken >= this.#max) throw new AtollError('OVERLOADED', `${who} was refused: ${this.#max} ${this.#what}`)
    this.#taken++
  }
}

export class Permit {
  readonly #host: Host
  readonly #acquire: () => void
  readonly #return: () => void
  #isHeld = true

  constructor(host: Host, acquire: () => void, giveBack: () => void) {
    this.#host = host
    this.#acquire = acquire
    this.#return = giveBack
  }

  /**
   * Waits for what a client does, such as to send its body. If that takes longer than a round of the event loop, others
   * may have the permit meanwhile: clients who never do it would take all. Rejects as `awaited` does; OVERLOADED, if
   * all permits are taken when it is done.
   */
  async whileAwaiting<T>(awaited: Promise<T>): Promise<T> {
    let isAwaited = true
    this.#host.turn(() => {
      if (isAwaited) this.release()
    })
    try {
      const result = await awaited
      if (!this.#isHeld) this.#acquire()
      this.#isHeld = true
      return result
    } finally {
      isAwaited = false
    }
  }

  /** Idempotent. */
  release(): void {
    if (this.#isHeld) this.#return()
    this.#isHeld = false
  }
}
