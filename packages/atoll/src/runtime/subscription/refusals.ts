import type { AtollError } from '@atoll/host'

/**
 * Events whose commit a store refused over what their handler wrote. By then the reader that had them handled is ahead
 * of the store, and must be opened anew; so what is known of them is kept here, for the next one: their try counts, as
 * if their handler had thrown what the commit did.
 */
export class Refusals {
  readonly #found = new Map<string, AtollError | undefined>()

  /** One commit carried the effects of these events. If there are several, each is to be handled in one of its own. */
  note(events: Iterable<{ readonly id: string }>, refusal: AtollError): void {
    const all = [...events]
    // of partitions that others read by now; what is not known is found out again
    if (this.#found.size + all.length > FOUND_MAX) this.#found.clear()
    for (const { id } of all) this.#found.set(id, all.length === 1 ? refusal : undefined)
  }

  /** Whether anything is known of an event. */
  has({ id }: { readonly id: string }): boolean {
    return this.#found.size > 0 && this.#found.has(id)
  }

  /** What the commit of an event was refused with, if it carried no other. From here on, nothing is known of it. */
  take({ id }: { readonly id: string }): AtollError | undefined {
    const refusal = this.#found.get(id)
    this.#found.delete(id)
    return refusal
  }
}

const FOUND_MAX = 10_000
