/** Finds the instances of services. Nothing here waits: what is known is answered, and changes are told. */
export interface Discovery {
  /**
   * Those of a service that may be called, as far as known now; the last ones known, while whoever knows cannot be
   * asked.
   */
  instances(service: string): readonly Instance[]
  /** Calls `listener` after a change. Returns what ends it. */
  watch(listener: () => void): () => void
  /** Why nothing is known yet, in words; undefined from the first answer on. */
  readonly problem: string | undefined
  /** Asks no more. Idempotent. */
  close(): Promise<void>
}

/** A process that runs a service. */
export interface Instance {
  /** Names it in logs; the same for as long as the process lives. */
  readonly id: string
  /** Where it takes calls: `http://10.0.0.7:4100`. */
  readonly url: string
  /** It stands in a list that somebody wrote: nobody has reached it yet. */
  readonly isListed?: boolean
}

/** Tells those who watch. */
export class Listeners {
  readonly #listeners = new Set<{ readonly tell: () => void }>()

  add(tell: () => void): () => void {
    const listener = { tell }
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  tell(): void {
    for (const { tell } of [...this.#listeners]) tell()
  }
}
