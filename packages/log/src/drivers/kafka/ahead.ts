import type { Chunk } from './format.ts'

/**
 * What fetches brought beyond what was asked for, and what several readers of this process ask for one after the other.
 * Durable records do not change, so nothing here is ever out of date; what was used longest ago goes when there is no
 * room.
 */
export class ReadAhead {
  readonly #bytesMax: number
  /** By topic, partition and the offset that a reader asks for. */
  readonly #byKey = new Map<string, Chunk>()
  /** From the one that was used longest ago, each with the keys by which it is found. */
  readonly #chunks = new Map<Chunk, Set<string>>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  find(topicId: string, partition: number, offset: number): Chunk | undefined {
    const chunk = this.#byKey.get(keyOf(topicId, partition, offset))
    if (chunk) this.#touch(chunk)
    return chunk
  }

  /** Keeps a chunk for readers who ask for `offset`, which lies within it. */
  add(topicId: string, partition: number, offset: number, chunk: Chunk): void {
    const key = keyOf(topicId, partition, offset)
    const known = this.#byKey.get(key)
    if (known === chunk) return
    if (known) this.#remove(known)
    this.#touch(chunk).add(key)
    this.#byKey.set(key, chunk)
    for (const oldest of this.#chunks.keys()) {
      if (this.#bytes <= this.#bytesMax) break
      this.#remove(oldest)
    }
  }

  /** Puts it last among those that may go. Returns the keys by which it is found. */
  #touch(chunk: Chunk): Set<string> {
    const keys = this.#chunks.get(chunk)
    if (keys) this.#chunks.delete(chunk)
    else this.#bytes += chunk.bytes
    const kept = keys ?? new Set<string>()
    this.#chunks.set(chunk, kept)
    return kept
  }

  #remove(chunk: Chunk): void {
    for (const key of this.#chunks.get(chunk) ?? []) this.#byKey.delete(key)
    if (this.#chunks.delete(chunk)) this.#bytes -= chunk.bytes
  }
}

function keyOf(topicId: string, partition: number, offset: number): string {
  return `${topicId}/${partition}/${offset}`
}
