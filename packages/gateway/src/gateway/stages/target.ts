import { AtollError } from '@atoll/host'

/**
 * Path and query string of a request target: as most clients send it, or with scheme and host before it, as to a proxy
 * (RFC 9112 § 3.2.2). MALFORMED for any other target.
 */
export function toTarget(sent: string): string {
  if (sent.startsWith('/')) return sent
  const [, rest] = /^https?:\/\/[^/?#\s]+(.*)$/is.exec(sent) ?? []
  if (rest === undefined) throw new AtollError('MALFORMED', 'the request target is neither a path nor a URL')
  return rest.startsWith('/') ? rest : `/${rest}`
}

export function pathOf(target: string): string {
  const end = target.indexOf('?')
  return end < 0 ? target : target.slice(0, end)
}

/** What follows the first question mark. */
export function queryOf(target: string): string {
  const at = target.indexOf('?')
  return at === -1 ? '' : target.slice(at + 1)
}
