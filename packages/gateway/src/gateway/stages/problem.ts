import { AtollError, errorCodes, type ErrorCode } from '@atoll/host'
import type { ErrorShape } from 'atoll'
import type { GatewayResponse } from '../exchange.ts'

/**
 * An error as a response: as the contract words it, or as problem+json (RFC 9457). Errors of the caller (4xx) carry
 * their message. Ours (5xx) carry only the code and the request id, because the message may name addresses, databases
 * and users; the log has it under that id. Throws what the contract's words throw, and if they make no answer.
 */
export function toResponse(thrown: unknown, requestId: string, shape: ErrorShape | undefined): GatewayResponse {
  const error = toShown(AtollError.from(thrown))
  const shaped = shape?.(error)
  const { status } = shaped ?? error
  if (!Number.isInteger(status) || status < 200 || status > 599)
    throw new Error(`the contract answers ${error.code} with status ${status}; give one from 200 to 599`)
  if (bodiless.has(status))
    throw new Error(
      `the contract answers ${error.code} with status ${status}, which says that there is nothing to read; give another`,
    )
  const headers: Record<string, string> = {
    'content-type': shaped ? 'application/json; charset=utf-8' : 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
  }
  if (status === 415) Object.assign(headers, { accept: 'application/json', 'accept-encoding': 'identity' })
  if (status === 401) headers['www-authenticate'] = 'Bearer'
  if (error.retryable && (status === 429 || status === 503)) headers['retry-after'] = '1'
  return { status, headers, body: JSON.stringify(shaped ? shaped.body : problemOf(error, requestId)) }
}

/** In HTTP, answers with these end with their headers: a client would take what follows for the next answer. */
const bodiless: ReadonlySet<number> = new Set([204, 205, 304])

function toShown(error: AtollError): AtollError {
  if (error.status < 500) return error
  const { effect } = error.details
  const code = 'status' in errorCodes[error.code] ? error.code : 'INTERNAL'
  const said = words[code] ?? 'the request cannot be served now'
  return new AtollError(
    code,
    `${said}${isEffect(effect) ? effects[effect] : ''}${more[code] ?? '; the log tells more under the request id'}`,
    isEffect(effect) ? { details: { effect } } : {},
  )
}

const words: Partial<Record<ErrorCode, string>> = {
  INTERNAL: 'something went wrong here',
  ANSWER_TOO_LARGE: 'the answer is larger than may be sent: ask for less at a time',
  NOT_IMPLEMENTED: 'the request uses a part of HTTP that is not understood here',
}

/** Said instead for refusals: the log has only one of many, or none. */
const more: Partial<Record<ErrorCode, string>> = {
  OVERLOADED: '; there are too many requests at a time',
  NOT_IMPLEMENTED: ': send the body with Transfer-Encoding: chunked and no other coding, or with its Content-Length',
}

/** What the caller must know to decide whether to send it again. */
const effects = {
  none: ', and it had no effect',
  done: '. What was asked for has been done',
  unknown:
    '. Whether it had an effect is not known, and it was not sent again: use an Idempotency-Key to make that safe',
} as const

function isEffect(value: unknown): value is keyof typeof effects {
  return typeof value === 'string' && Object.hasOwn(effects, value)
}

function problemOf(error: AtollError, requestId: string): Record<string, unknown> {
  return {
    type: `urn:atoll:error:${error.code}`,
    title: errorCodes[error.code].meaning,
    status: error.status,
    detail: error.reason,
    code: error.code,
    requestId,
    ...(error.details['effect'] === undefined ? {} : { effect: error.details['effect'] }),
    ...(error.details['fields'] === undefined ? {} : { fields: error.details['fields'] }),
  }
}
