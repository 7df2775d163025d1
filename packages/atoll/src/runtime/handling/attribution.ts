import { AtollError, type LogFields, type Logger } from '@atoll/host'
import type { Envelope } from './envelope.ts'

/**
 * Knows on whose behalf code runs, so that a stray (a rejection that nobody awaits) is blamed on one handling and not
 * on the process. Whoever runs a process may have it; without it a stray ends the process, as Node.js has it.
 */
export interface Attribution {
  /** Runs `work`, and all that it begins, on behalf of a handling. */
  during<T>(handling: Attributable, work: () => T): T
  /**
   * Runs `work`, and all that it begins, on behalf of nobody: a handling asked for it, but what goes wrong in it is not
   * the handling's doing.
   */
  apart<T>(work: () => T): T
}

/** A try of a handler. */
export interface Attributable {
  /** What it is about, for log lines. */
  about(): LogFields
  /** A promise of its was rejected, and nobody awaits it. */
  takeStray(thrown: unknown): void
}

/**
 * Runs code that an author wrote and that is no handling: a schema, the words of an error, the check of a token. A
 * stray that it leaves is told with what `about` says, and ends nothing.
 */
export function runAttributed<T>(
  attribution: Attribution | undefined,
  logger: Logger,
  about: LogFields,
  work: () => T,
): T {
  if (!attribution) return work()
  const code: Attributable = {
    about: () => about,
    takeStray: (thrown) => reportStray(logger, code, AtollError.from(thrown)),
  }
  return attribution.during(code, work)
}

/**
 * The strays of one handling: one that comes before its outcome is decided makes it fail; what comes later is only
 * told.
 */
export class Strays {
  #error: AtollError | undefined
  #isDecided = false

  /** Answers whether it came in time. */
  add(error: AtollError): boolean {
    if (!this.#isDecided) this.#error ??= error
    return !this.#isDecided
  }

  /** From here on its outcome does not change. Answers the first stray before that. */
  decide(): AtollError | undefined {
    this.#isDecided = true
    return this.#error
  }
}

/** An event that is applied to a projection. */
export class Applying implements Attributable {
  readonly #strays = new Strays()
  readonly #subscription: string
  readonly #envelope: Envelope
  readonly #logger: Logger

  constructor(subscription: string, envelope: Envelope, logger: Logger) {
    this.#subscription = subscription
    this.#envelope = envelope
    this.#logger = logger
  }

  /** Resolves with what `apply` gives. */
  async run(attribution: Attribution, apply: () => unknown): Promise<unknown> {
    let given: unknown
    try {
      given = await attribution.during(this, apply)
    } catch (error) {
      throw this.#strays.decide() ?? error
    }
    const error = this.#strays.decide()
    if (error) throw error
    return given
  }

  about(): LogFields {
    const { id, type, key, trace } = this.#envelope
    return { subscription: this.#subscription, event: id, type, key, trace }
  }

  takeStray(thrown: unknown): void {
    const error = AtollError.from(thrown)
    if (!this.#strays.add(error)) reportStray(this.#logger, this, error)
  }
}

export function reportStray(logger: Logger, handling: Attributable, error: AtollError): void {
  logger.error(
    { ...handling.about(), error },
    'a handler left a promise that was rejected and that nobody awaits, after its outcome was decided: it changes nothing any more. Await it, or catch what it throws',
  )
}
