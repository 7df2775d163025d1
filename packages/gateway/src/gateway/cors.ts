import type { CorsOptions } from './options.ts'

/** Says with an answer which web pages may read it; and to caches, that it depends on who asks, also where nobody has asked from a page. */
export function allowOrigin({ origins }: CorsOptions, origin: string | undefined, headers: Record<string, string>): void {
  if (origins === '*') headers['access-control-allow-origin'] = '*'
  else {
    headers['vary'] = headers['vary'] === undefined ? 'origin' : `${headers['vary']}, origin`
    if (origin === undefined || !origins.includes(origin)) return
    headers['access-control-allow-origin'] = origin
  }
  headers['access-control-expose-headers'] = 'atoll-position, etag, idempotency-replayed, retry-after, x-request-id'
}

/** What a page may send, for a preflight. */
export function allowMethods(methods: string, headers: Record<string, string>): void {
  headers['access-control-allow-methods'] = methods
  headers['access-control-allow-headers'] = 'authorization, content-type, if-match, if-none-match, idempotency-key, atoll-position, traceparent, x-request-id'
  headers['access-control-max-age'] = '600'
}
