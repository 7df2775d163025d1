import { AtollError, type Host, type Logger } from '@atoll/host'

/** How long to wait before the next attempt: the first wait, and the longest. Each is twice the one before, with jitter. */
const retryMs = { first: 200, max: 5_000 }

/** Attempts something until it succeeds, in the background. Until then, it says why not. */
export class Readiness {
  readonly #host: Host
  readonly #logger: Logger
  readonly #attempt: () => Promise<void>
  #failure: AtollError | undefined
  #failures = 0
  #attempting: Promise<void> | undefined
  #timer = { cancel(): void {} }
  #closed = false

  constructor(host: Host, logger: Logger, attempt: () => Promise<void>) {
    this.#host = host
    this.#logger = logger
    this.#attempt = attempt
  }

  /** Attempts it now. Resolves with what came of this one attempt: nothing, or why it failed; then it is attempted again, for as long as it takes. */
  async begin(): Promise<AtollError | undefined> {
    this.#attempting ??= this.#tryOnce().finally(() => (this.#attempting = undefined))
    await this.#attempting
    return this.#failure
  }

  /** Throws why it is not ready, if it is not. */
  assert(): void {
    if (this.#failure) throw new AtollError(this.#failure.code, this.#failure.reason, { cause: this.#failure })
  }

  /** What was ready is so no more. */
  lost(why: AtollError): void {
    if (this.#failure || this.#closed) return
    this.#failure = why
    void this.begin()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#timer.cancel()
    await this.#attempting
  }

  async #tryOnce(): Promise<void> {
    try {
      await this.#attempt()
      if (this.#failures > 0) this.#logger.info({ attempts: this.#failures + 1 }, 'the log in PostgreSQL can be used')
      this.#failure = undefined
      this.#failures = 0
    } catch (error) {
      this.#failure = unavailable(error)
      // Once, not at each attempt: who uses the log hears the rest.
      if (this.#failures++ === 0) this.#logger.warn({ code: this.#failure.code }, `${this.#failure.reason}; trying again until it can be used`)
      if (this.#closed) return
      const waitMs = Math.min(retryMs.first * 2 ** (this.#failures - 1), retryMs.max) * (0.5 + this.#host.random() / 2)
      this.#timer = this.#host.after(waitMs, () => void this.begin())
    }
  }
}

/** What PostgreSQL refuses here is for its administrator to mend (a right to create tables, mostly), and then all is well. */
function unavailable(error: unknown): AtollError {
  if (error instanceof AtollError) return error
  return new AtollError('UNAVAILABLE', `the tables of the log in PostgreSQL cannot be made or read: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
}
