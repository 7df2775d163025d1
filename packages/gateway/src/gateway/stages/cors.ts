import { headerOf, type GatewayResponse } from '../exchange.ts'
import type { CorsOptions } from '../options.ts'
import type { Identified } from './identify.ts'
import type { Stage } from './stage.ts'

/**
 * Says with each answer which web pages may read it, and with one about the methods of a path, what they may send.
 * Without options: none may.
 */
export function cors(
  options: CorsOptions | undefined,
): Stage<Identified, Identified, GatewayResponse, GatewayResponse> {
  if (!options) return (next) => next
  return (next) => async (exchange) => {
    const { method, headers } = exchange.request
    const origin = headerOf(headers['origin'])
    const response = await next(exchange)
    if (method === 'OPTIONS' && origin !== undefined && response.headers['allow'] !== undefined)
      allowMethods(response.headers['allow'], response.headers)
    allowOrigin(options, origin, response.headers)
    return response
  }
}

/** Tells caches that an answer depends on who asks, also where nobody has asked from a page. */
function allowOrigin({ origins }: CorsOptions, origin: string | undefined, headers: Record<string, string>): void {
  if (origins === '*') headers['access-control-allow-origin'] = '*'
  else {
    headers['vary'] = headers['vary'] === undefined ? 'origin' : `${headers['vary']}, origin`
    if (origin === undefined || !origins.includes(origin)) return
    headers['access-control-allow-origin'] = origin
  }
  headers['access-control-expose-headers'] = 'atoll-position, etag, idempotency-replayed, retry-after, x-request-id'
}

/** The answer to a preflight. */
function allowMethods(methods: string, headers: Record<string, string>): void {
  headers['access-control-allow-methods'] = methods
  headers['access-control-allow-headers'] =
    'authorization, content-type, if-match, if-none-match, idempotency-key, atoll-position, traceparent, x-request-id'
  headers['access-control-max-age'] = '600'
}
