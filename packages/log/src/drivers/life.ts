import { AtollError, type Host } from '@atoll/host'

/** The life of a log on an engine: what its calls say once it is closed, and what closing waits for. */
export class Life {
  readonly #engine: string
  readonly #appends = new Set<Promise<void>>()
  #closed: Promise<void> | undefined

  constructor(engine: string) {
    this.#engine = engine
  }

  /** Throws LOG_CLOSED once it is closed. */
  assertOpen(): void {
    if (this.#closed) throw new AtollError('LOG_CLOSED', `the log on ${this.#engine} was used after close; stop what uses it before closing it`)
  }

  /** What is rejected because the log was closed meanwhile, says so. */
  async whileOpen<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      this.assertOpen()
      throw error
    }
  }

  /** An append, for which closing waits. */
  async append(append: Promise<void>): Promise<void> {
    this.#appends.add(append)
    try {
      await append
    } finally {
      this.#appends.delete(append)
    }
  }

  /** Waits for the appends under way, until `giveUp` is called after `closeMs`, which rejects them; then ends everything by `end`. Idempotent. */
  close(host: Host, closeMs: number, giveUp: () => void, end: () => void): Promise<void> {
    this.#closed ??= this.#close(host, closeMs, giveUp, end)
    return this.#closed
  }

  async #close(host: Host, closeMs: number, giveUp: () => void, end: () => void): Promise<void> {
    const timeout = host.after(closeMs, giveUp)
    await Promise.allSettled(this.#appends)
    timeout.cancel()
    end()
  }
}
