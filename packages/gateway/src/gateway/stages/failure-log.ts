import { AtollError, type Host, type Logger } from '@atoll/host'

/** Tells the log of requests that failed for reasons of ours. Errors of callers are told to callers. */
export class FailureLog {
  readonly #host: Host
  readonly #logger: Logger
  /** Requests refused with OVERLOADED since that was last told. */
  #refused = 0
  #refusedToldMs = -Infinity

  constructor(host: Host, logger: Logger) {
    this.#host = host
    this.#logger = logger
  }

  /** `operation` is its name, where the request was found to be for one. */
  tell(thrown: unknown, requestId: string, operation?: string): void {
    const error = AtollError.from(thrown)
    if (error.status < 500 || (error.code === 'OVERLOADED' && !this.#mayTellOfRefusal())) return
    const refused = error.code === 'OVERLOADED' ? { refused: this.#refused } : {}
    this.#logger.error({ requestId, operation, ...refused, error }, `request failed: ${error.code}`)
    if (error.code === 'OVERLOADED') this.#refused = 0
  }

  /** Clients decide how many refusals there are: now and then the log gets one, with how many there were. */
  #mayTellOfRefusal(): boolean {
    this.#refused++
    const now = this.#host.monotonicMs()
    if (now - this.#refusedToldMs < REFUSAL_TOLD_MS) return false
    this.#refusedToldMs = now
    return true
  }
}

/** How often the log tells of requests that were refused because there are too many, milliseconds. */
const REFUSAL_TOLD_MS = 1_000
