import type { Host } from '@atoll/host'

/** What a handling is about, where it is the same each time that it runs. */
export interface IdSeed {
  /** Names it, among all handlings of the system. */
  readonly text: string
  /** Its time, milliseconds since 1970: ids sort by it. */
  readonly at: number
}

/** What an id is for. Each kind is counted apart: an id more of one kind leaves the others as they are. */
export type IdKind = 'event' | 'timer' | 'handler'

/**
 * The ids that one handling gives. They are derived from what it handles, if that is the same each time it runs: the
 * second run, after a failure or in a restored store, gives what it makes the ids that the first one gave. Otherwise
 * they are fresh.
 */
export class Ids {
  readonly #host: Host
  readonly #seed: IdSeed | undefined
  readonly #counts: Record<IdKind, number> = { event: 0, timer: 0, handler: 0 }

  constructor(host: Host, seed: IdSeed | undefined) {
    this.#host = host
    this.#seed = seed
  }

  next(kind: IdKind): string {
    if (!this.#seed) return this.#host.uuid()
    const { text, at } = this.#seed
    return derivedId(this.#host, `${kind} ${this.#counts[kind]++} ${text}`, at)
  }
}

/**
 * A UUID of version 8 (RFC 9562 § 5.8): 48 bits of a time, so that ids sort by it as those of version 7 do, and 74 of
 * the SHA-256 of a text.
 */
export function derivedId(host: Pick<Host, 'digest'>, text: string, at: number): string {
  const hash = host.digest(text)
  const time = Math.max(0, Math.floor(at)).toString(16).padStart(12, '0').slice(-12)
  const variant = '89ab'[Number.parseInt(hash[3]!, 16) & 3]! // a digest has 64 digits
  return `${time.slice(0, 8)}-${time.slice(8)}-8${hash.slice(0, 3)}-${variant}${hash.slice(4, 7)}-${hash.slice(7, 19)}`
}
