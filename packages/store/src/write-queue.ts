import { AtollError } from '@atoll/host'
import type { Transaction } from './driver.ts'
import type { Write } from './group.ts'

/**
 * Transactions that wait for their turn: first those that are urgent, then the others; each in the order of the calls.
 */
export class WriteQueue {
  readonly #store: string
  /** Of those that are not urgent. */
  readonly #max: number
  readonly #urgent: Write[] = []
  readonly #others: (Write | undefined)[] = []
  /** How many of the others have left: to shift each would take time with what waits. */
  #head = 0

  constructor(store: string, writesQueuedMax: number) {
    this.#store = store
    this.#max = writesQueuedMax
  }

  get length(): number {
    return this.#urgent.length + this.#others.length - this.#head
  }

  /** Whether any that waits is urgent. */
  get hasUrgent(): boolean {
    return this.#urgent.length > 0
  }

  /** Resolves with what the work answers. OVERLOADED if too many wait, unless it is urgent. */
  add<T>(work: (tx: Transaction) => Promise<T>, urgent: boolean): Promise<T> {
    if (!urgent && this.#others.length - this.#head >= this.#max) {
      return Promise.reject(
        new AtollError('OVERLOADED', `${this.#store} has ${this.#max} transactions waiting (writesQueuedMax)`),
      )
    }
    return new Promise<T>((resolve, reject) => {
      const queue = urgent ? this.#urgent : this.#others
      // the work's own result comes back to it
      queue.push({ work, urgent, resolve: resolve as (result: unknown) => void, reject, result: undefined })
    })
  }

  /** The next one. There must be one. */
  take(): Write {
    const urgent = this.#urgent.shift()
    if (urgent) return urgent
    const write = this.#others[this.#head]!
    this.#others[this.#head++] = undefined // a queue that is never empty would keep it
    if (this.#head === this.#others.length || this.#head === CLEARED_AT) {
      this.#others.splice(0, this.#head)
      this.#head = 0
    }
    return write
  }

  /** Rejects all that wait. */
  rejectAll(failure: AtollError): void {
    while (this.length > 0) this.take().reject(failure)
  }
}

/** After so many, the places of those that have left are given up. */
const CLEARED_AT = 1_000
