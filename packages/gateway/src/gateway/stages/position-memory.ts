import type { Host } from '@atoll/host'
import { mergePositions, type Position } from 'atoll/runtime'

interface Entry {
  /** Undefined of a name that is not trusted. */
  readonly position: Position | undefined
  readonly atMs: number
}

/**
 * What has been seen under each name, so that clients who know nothing of positions read their own writes. A name is a caller's id, or an
 * address: somebody who has just registered reads on with a token that the gateway has never seen.
 *
 * It forgets the least recently used, and what is old. That is safe enough: services are milliseconds behind, not minutes, and a client
 * that must be sure sends the Atoll-Position header back.
 */
export class PositionMemory {
  readonly #entries = new Map<string, Entry>()
  readonly #host: Host
  readonly #entriesMax: number
  readonly #ageMsMax: number

  constructor(host: Host, entriesMax: number, ageMsMax: number) {
    this.#host = host
    this.#entriesMax = entriesMax
    this.#ageMsMax = ageMsMax
  }

  recall(name: string): Position | undefined {
    const entry = this.#entries.get(name)
    if (!entry) return undefined
    this.#entries.delete(name)
    if (this.#host.monotonicMs() - entry.atMs > this.#ageMsMax) return undefined
    this.#entries.set(name, entry) // comes last now, and so is the last to be forgotten
    return entry.position
  }

  remember(name: string, position: Position): void {
    const known = this.recall(name)
    if (!known && this.#entries.has(name)) return // it is not trusted
    this.#note(name, known ? mergePositions(known, position) : position)
  }

  /** What is remembered under this name was waited for in vain: for as long as it would have been remembered, nothing is. */
  distrust(name: string): void {
    this.#note(name, undefined)
  }

  #note(name: string, position: Position | undefined): void {
    this.#entries.delete(name)
    this.#entries.set(name, { position, atMs: this.#host.monotonicMs() })
    if (this.#entries.size <= this.#entriesMax) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      break
    }
  }
}
