import { AtollError, describeThrown, type ErrorCode } from '@atoll/host'

/**
 * What a log says of an error: only what is named here, since other properties of errors hold addresses with their
 * passwords.
 */
export interface DescribedError {
  readonly code: ErrorCode
  readonly message: string
  readonly details?: Readonly<Record<string, unknown>>
  /** What its causes say, the nearest first; of a known error. */
  readonly causes?: readonly string[]
  /**
   * Where it was thrown, with its causes; only of what nobody planned. A refusal happens as often as somebody asks for
   * it.
   */
  readonly stack?: string
}

/** Describes what was thrown. Never throws. */
export function describeError(thrown: unknown): DescribedError {
  const error = AtollError.from(thrown)
  const { code, message, details, cause } = error
  if (code === 'INTERNAL') return { code, message, ...stackOf(cause ?? error) }
  const causes = causesOf(cause)
  return {
    code,
    message,
    ...(Object.keys(details).length > 0 && { details }),
    ...(causes.length > 0 && { causes }),
    ...(isMadeInSource(code) && stackOf(error)),
  }
}

/** Where it was thrown; nothing if it does not say more than its message. */
function stackOf(thrown: unknown): { readonly stack?: string } {
  const { message, stack } = describeThrown(thrown)
  return stack === message ? {} : { stack }
}

function causesOf(cause: unknown): string[] {
  const causes: string[] = []
  for (let at = cause; at !== undefined && at !== null && causes.length < CAUSES_MAX; at = nextOf(at))
    causes.push(describeThrown(at).message)
  return causes
}

function nextOf(error: unknown): unknown {
  try {
    return (error as { cause?: unknown }).cause // whatever it is: what has no properties answers undefined
  } catch {
    return undefined // a getter threw
  }
}

/** Whether an error with a code is a mistake in a service's source: its author needs the line. */
function isMadeInSource(code: ErrorCode): boolean {
  return /^(TX_|CALL_IN_TX|ANSWER_|EVENT_INVALID|EVENT_UNDECLARED)/.test(code)
}

const CAUSES_MAX = 5
