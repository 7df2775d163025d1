import { AtollError, errorCodes } from '@atoll/host'
import type { ErrorShape } from 'atoll'
import type { GatewayResponse } from './exchange.ts'

/**
 * An error as a response: as the contract words it, or as problem+json (RFC 9457). Errors that no caller should see answer 500 and
 * say nothing but the id under which the log tells more. Throws what the contract's words throw, and if they make no answer.
 */
export function toResponse(thrown: unknown, requestId: string, shape: ErrorShape | undefined): GatewayResponse {
  const error = toShown(AtollError.from(thrown))
  const shaped = shape?.(error)
  const status = shaped?.status ?? error.status
  if (!Number.isInteger(status) || status < 200 || status > 599) throw new Error(`the contract answers ${error.code} with status ${status}; give one from 200 to 599`)
  const headers: Record<string, string> = {
    'content-type': shaped ? 'application/json; charset=utf-8' : 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
  }
  if (status === 401) headers['www-authenticate'] = 'Bearer'
  if (error.retryable && (status === 429 || status === 503)) headers['retry-after'] = '1'
  return { status, headers, body: JSON.stringify(shaped ? shaped.body : problemOf(error, requestId)) }
}

function toShown(error: AtollError): AtollError {
  const isForCallers = 'status' in errorCodes[error.code] && error.code !== 'INTERNAL'
  return isForCallers ? error : new AtollError('INTERNAL', 'something went wrong here; the log tells more under the request id')
}

function problemOf(error: AtollError, requestId: string): Record<string, unknown> {
  return {
    type: `urn:atoll:error:${error.code}`,
    title: errorCodes[error.code].meaning,
    status: error.status,
    detail: error.reason,
    code: error.code,
    requestId,
    ...(error.details['fields'] === undefined ? {} : { fields: error.details['fields'] }),
  }
}
