import { follows, lastOf, type Chunk, type Place } from './format.ts'

/**
 * Messages that were read or written lately, so that the readers of a partition in one process ask the server once, and
 * one who reads a message in parts, too. It holds two generations: when the younger one has filled half of the room it
 * becomes the older one, and what was the older one is dropped whole.
 */
export class RecentChunks {
  readonly #generationBytesMax: number
  #young = new Map<string, Chunk>()
  #old = new Map<string, Chunk>()
  #youngBytes = 0

  constructor(bytesMax: number) {
    this.#generationBytesMax = bytesMax / 2
  }

  add(source: string, partition: number, chunk: Chunk): void {
    if (this.#generationBytesMax === 0) return
    if (this.#youngBytes > this.#generationBytesMax) {
      this.#old = this.#young
      this.#young = new Map()
      this.#youngBytes = 0
    }
    this.#young.set(toKey(source, partition, chunk.records[0]!.number), chunk) // a chunk has a record
    this.#young.set(toKey(source, partition, -chunk.seq), chunk)
    this.#youngBytes += 2 * chunk.bytes + bytesBesidesData * chunk.records.length
  }

  /** The message that holds what comes after a place; null stands for the beginning. */
  find(source: string, partition: number, after: Place | null): Chunk | undefined {
    const key = toKey(source, partition, after === null ? 1 : after.left > 0 ? -after.seq : after.number + 1)
    const chunk = this.#young.get(key) ?? this.#old.get(key)
    return chunk && follows(after, chunk) && lastOf(chunk).number > (after?.number ?? 0) ? chunk : undefined
  }

  /** Nothing of it is to be found any more: the stream is not what it was. */
  forget(source: string): void {
    for (const generation of [this.#young, this.#old]) {
      for (const key of generation.keys()) if (key.startsWith(`${source}/`)) generation.delete(key)
    }
  }
}

/** Ids, key, trace and the object around them: what a record takes besides its data, about. */
const bytesBesidesData = 300

/** By its first number; or by its place in the stream, written as a negative number. */
function toKey(source: string, partition: number, at: number): string {
  return `${source}/${partition}/${at}`
}
