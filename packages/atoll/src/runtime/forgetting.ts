import type { Host, Logger, Timer } from '@atoll/host'
import type { Store } from '@atoll/store/driver'
import { forgetAnswers } from './answers.ts'
import type { RuntimeOptions } from './options.ts'

/** Forgets a service's answers to Idempotency-Keys once they are older than `answersKeptMs`. */
export class Forgetting {
  readonly #service: string
  readonly #host: Host
  readonly #logger: Logger
  readonly #options: RuntimeOptions
  #timer: Timer | undefined

  constructor(service: string, host: Host, logger: Logger, options: RuntimeOptions) {
    this.#service = service
    this.#host = host
    this.#logger = logger
    this.#options = options
  }

  start(store: Store): void {
    const { answersKeptMs } = this.#options
    this.#timer = this.#host.after(Math.min(answersKeptMs, FORGET_MS), () => {
      store
        .write((tx) => forgetAnswers(tx, this.#host.now(), answersKeptMs))
        .catch((error: unknown) => this.#logger.warn({ service: this.#service, error }, 'could not forget old answers; will try again'))
      this.start(store)
    })
  }

  stop(): void {
    this.#timer?.cancel()
  }
}

const FORGET_MS = 10 * 60 * 1000
