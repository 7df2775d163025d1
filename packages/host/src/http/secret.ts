import { createHash, timingSafeEqual } from 'node:crypto'

/**
 * Says whether an Authorization header carries the secret that the processes of a system share. Takes as long for a
 * wrong one as for a right one: digests are compared, which are of one length and tell nothing of how much was right.
 */
export function createSecretCheck(secret: string): (header: string | undefined) => boolean {
  const wanted = digest(`Bearer ${secret}`)
  return (header) => timingSafeEqual(digest(header ?? ''), wanted)
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
