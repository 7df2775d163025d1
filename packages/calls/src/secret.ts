import { createHash, timingSafeEqual } from 'node:crypto'
import { AtollError } from '@atoll/host'

/**
 * Says whether an Authorization header carries the secret that the processes of a system share. Takes as long for a wrong one as for a
 * right one: digests are compared, which are of one length and tell nothing of how much was right.
 */
export function createSecretCheck(secret: string | undefined): (header: string | undefined) => boolean {
  if (secret === undefined) return () => true
  const wanted = digest(`Bearer ${secret}`)
  return (header) => timingSafeEqual(digest(header ?? ''), wanted)
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/**
 * Refuses to listen for all the world without a secret: whoever reaches the port could be every user, since who asks is passed in clear.
 * CONFIG_INVALID, because it is a matter of settings.
 */
export function assertGuarded(host: string, secret: string | undefined, what: string): void {
  if (secret !== undefined && secret.length < SECRET_CHARS_MIN) {
    throw new AtollError('CONFIG_INVALID', `the secret for calls has ${secret.length} characters; give at least ${SECRET_CHARS_MIN}, such as \`openssl rand -hex 32\` prints`)
  }
  if (secret !== undefined || isLoopback(host)) return
  throw new AtollError('CONFIG_INVALID', `${what} would listen at ${host} without a secret, and whoever reaches it could act in the name of every user: set ATOLL_CALLS_SECRET (calls.secret), the same for every process of the system, or listen at 127.0.0.1`)
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

const SECRET_CHARS_MIN = 16
