import type { Host, LogFields, Logger, Timer } from '@atoll/host'

/**
 * Logs that events failed: the first few one by one, and of those soon after only how many there were. When something
 * that all handlers need is broken, events fail by the thousand, and a line for each would slow down those that do not.
 */
export class FailureReports {
  readonly #subscription: string
  readonly #host: Host
  readonly #logger: Logger
  #said = 0
  #unsaid = { retrying: 0, dead: 0 }
  #timer: Timer | undefined

  constructor(subscription: string, host: Host, logger: Logger) {
    this.#subscription = subscription
    this.#host = host
    this.#logger = logger
  }

  /** An event failed, and will be tried again or is a dead letter. */
  tell(state: 'retrying' | 'dead', fields: LogFields, message: string): void {
    this.#timer ??= this.#host.after(WINDOW_MS, () => this.end())
    if (this.#said++ >= EACH_MAX) this.#unsaid[state]++
    else if (state === 'dead') this.#logger.error(fields, message)
    else this.#logger.warn(fields, message)
  }

  /** Says how many more there were. */
  end(): void {
    const { retrying, dead } = this.#unsaid
    this.#timer?.cancel()
    this.#timer = undefined
    this.#said = 0
    this.#unsaid = { retrying: 0, dead: 0 }
    const fields = { subscription: this.#subscription, retrying, dead, withinMs: WINDOW_MS }
    if (dead > 0)
      this.#logger.error(
        fields,
        `${dead} more events became dead letters of ${this.#subscription}, and ${retrying} more tries failed; \`atoll dead-letters list\` shows each`,
      )
    else if (retrying > 0)
      this.#logger.warn(
        fields,
        `${retrying} more tries of events failed in ${this.#subscription}; they will be tried again`,
      )
  }
}

/** So many are said one by one within a window. */
const EACH_MAX = 20
const WINDOW_MS = 10_000
