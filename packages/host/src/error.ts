import { errorCodes, type ErrorCode } from './codes.ts'
import { describeThrown, isSoundError } from './thrown.ts'

export interface AtollErrorOptions {
  cause?: unknown
  /** Structured facts about the error, safe to show to a caller: field messages, a limit, a name. Never a payload. */
  details?: Readonly<Record<string, unknown>>
}

/**
 * The one error type of the platform. `code` is from a closed set; what it means and what to do next stands in
 * {@link errorCodes}. The code leads the message, because most tools show nothing but the message.
 */
export class AtollError extends Error {
  override readonly name = 'AtollError'
  readonly code: ErrorCode
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: AtollErrorOptions = {}) {
    super(`${code}: ${message}`, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
  }

  /** The message without its code. */
  get reason(): string {
    return this.message.slice(this.code.length + 2)
  }

  /** Whether the same request may succeed later, unchanged. */
  get retryable(): boolean {
    return 'retryable' in errorCodes[this.code]
  }

  /** The HTTP status for this error; 500 for those that no caller should see. */
  get status(): number {
    const entry = errorCodes[this.code]
    return 'status' in entry ? entry.status : 500
  }

  /**
   * An AtollError as it is; anything else as INTERNAL with the original as its cause. The only place that guesses. It
   * never throws, and message and stack of what it returns are texts, whatever was thrown.
   */
  static from(thrown: unknown): AtollError {
    const isSound = isSoundError(thrown)
    if (isSound && isAsMade(thrown)) return thrown
    const { message, stack } = describeThrown(thrown)
    const isAsItWas =
      (isSound && !(thrown instanceof AtollError)) ||
      thrown === null ||
      (typeof thrown !== 'object' && typeof thrown !== 'function')
    return new AtollError('INTERNAL', message, {
      cause: isAsItWas ? thrown : Object.assign(new Error(message), { stack }),
    })
  }
}

/**
 * Whether it is one of ours as they are made: of a code that there is, and with values in its fields. A getter may
 * throw, or say each time something else.
 */
function isAsMade(error: Error): error is AtollError {
  try {
    if (!(error instanceof AtollError) || fields.some((field) => Object.getOwnPropertyDescriptor(error, field)?.get))
      return false
    const { code, details }: { code: string; details: unknown } = error // in JavaScript, anything
    return Object.hasOwn(errorCodes, code) && typeof details === 'object' && details !== null
  } catch {
    return false // a proxy of one
  }
}

const fields = ['code', 'message', 'details', 'cause'] as const
