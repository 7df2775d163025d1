import { AtollError } from '../error.ts'

/** The places of those for whom work is under way. */
export class Places {
  readonly #max: number
  readonly #what: string
  #taken = 0

  /** `what` says what takes a place, and under which limit: `requests are under way (requestsInFlightMax)`. */
  constructor(max: number, what: string) {
    this.#max = max
    this.#what = what
  }

  /** A place until `leave`. OVERLOADED if all are taken. */
  take(): Place {
    this.#enter()
    return new Place(() => this.#enter(), () => this.#taken--)
  }

  #enter(): void {
    if (this.#taken >= this.#max) throw new AtollError('OVERLOADED', `${this.#max} ${this.#what}`)
    this.#taken++
  }
}

export class Place {
  readonly #enter: () => void
  readonly #exit: () => void
  #isTaken = true

  constructor(enter: () => void, exit: () => void) {
    this.#enter = enter
    this.#exit = exit
  }

  /**
   * Leaves the place to others while the client has to do something, such as to send its body: clients who never do would take all places. Rejects as `work` does; OVERLOADED, if
   * all places are taken when it is done.
   */
  async whileAway<T>(work: () => Promise<T>): Promise<T> {
    this.leave()
    const result = await work()
    this.#enter()
    this.#isTaken = true
    return result
  }

  /** Idempotent. */
  leave(): void {
    if (this.#isTaken) this.#exit()
    this.#isTaken = false
  }
}
