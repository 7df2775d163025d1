import type { Host } from '@atoll/host'
import { listen, type Listening, type Pool } from '@atoll/postgres'

/**
 * Tells other processes of news in a store, and hears of theirs, by NOTIFY. Outside of transactions, which would queue
 * for it; so a hint may be lost, and whoever needs to know looks now and then.
 */
export class Hints {
  readonly #pool: Pool
  readonly #channel: string
  /** Names this process among those that tell. */
  readonly #own: string
  readonly #listeners = new Map<string, Set<() => void>>()
  /** Stores of which is being told, and whether there is more by now. */
  readonly #telling = new Map<string, boolean>()
  #listening: Listening | undefined
  #closed = false

  constructor(pool: Pool, system: string, host: Host) {
    this.#pool = pool
    this.#channel = `atoll ${system}`
    this.#own = host.uuid()
  }

  tell(store: string): void {
    if (this.#closed) return
    if (this.#telling.has(store)) this.#telling.set(store, true)
    else void this.#tellNow(store)
  }

  watch(store: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(store) ?? new Set()
    this.#listeners.set(store, listeners.add(listener))
    this.#listening ??= listen(
      this.#pool,
      this.#channel,
      (payload) => this.#hear(payload),
      () => this.#lookAll(),
    )
    return () => void listeners.delete(listener)
  }

  close(): void {
    this.#closed = true
    this.#listening?.close()
    this.#listeners.clear()
  }

  /** What comes while one hint is on its way is told with the next. */
  async #tellNow(store: string): Promise<void> {
    do {
      this.#telling.set(store, false)
      await this.#pool
        .query('SELECT pg_notify($1, $2)', [this.#channel, `${this.#own} ${store}`])
        .catch(() => undefined) // a hint, no more
    } while (this.#telling.get(store) && !this.#closed)
    this.#telling.delete(store)
  }

  #hear(payload: string): void {
    const [teller, store] = payload.split(' ')
    if (teller === this.#own || store === undefined) return
    for (const listener of this.#listeners.get(store) ?? []) listener()
  }

  /** What was told while nobody listened is not known. */
  #lookAll(): void {
    for (const listeners of this.#listeners.values()) for (const listener of listeners) listener()
  }
}
