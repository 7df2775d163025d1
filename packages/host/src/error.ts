import { errorCodes, type ErrorCode } from './codes.ts'

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

  /** An AtollError as it is; anything else as INTERNAL with the original as its cause. The only place that guesses. */
  static from(thrown: unknown): AtollError {
    if (thrown instanceof AtollError) return thrown
    return new AtollError('INTERNAL', thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown })
  }
}
