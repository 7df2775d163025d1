import { AtollError } from '../error.ts'
import type { Host } from '../host.ts'

/** The places of those for whom work is under way. */
export class Places {
  readonly #host: Host
  readonly #max: number
  readonly #what: string
  #taken = 0

  /** `what` says what takes a place, and under which limit: `requests are under way (requestsInFlightMax)`. */
  constructor(host: Host, max: number, what: string) {
    this.#host = host
    this.#max = max
    this.#what = what
  }

  /** A place until `leave`. OVERLOADED, in the name of `who`, if all are taken. */
  take(who: string): Place {
    this.#enter(who)
    return new Place(this.#host, () => this.#enter(who), () => this.#taken--)
  }

  #enter(who: string): void {
    if (this.#taken >= this.#max) throw new AtollError('OVERLOADED', `${who} was refused: ${this.#max} ${this.#what}`)
    this.#taken++
  }
}

export class Place {
  readonly #host: Host
  readonly #enter: () => void
  readonly #exit: () => void
  #isTaken = true

  constructor(host: Host, enter: () => void, exit: () => void) {
    this.#host = host
    this.#enter = enter
    this.#exit = exit
  }

  /**
   * Waits for what a client does, such as to send its body. If that takes longer than a round of the event loop, others have the place meanwhile: clients who never do it would
   * take all. Rejects as `awaited` does; OVERLOADED, if all places are taken when it is done.
   */
  async whileAwaiting<T>(awaited: Promise<T>): Promise<T> {
    let isAwaited = true
    this.#host.turn(() => {
      if (isAwaited) this.leave()
    })
    try {
      const result = await awaited
      if (!this.#isTaken) this.#enter()
      this.#isTaken = true
      return result
    } finally {
      isAwaited = false
    }
  }

  /** Idempotent. */
  leave(): void {
    if (this.#isTaken) this.#exit()
    this.#isTaken = false
  }
}
