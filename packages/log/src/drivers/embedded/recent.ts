import type { StoredRecord } from '../../driver.ts'
import { copyOf } from '../shared/copy.ts'
import type { Stream } from './streams.ts'

/**
 * The newest durable records of all streams, in memory, bounded in bytes. It holds two generations: when the younger
 * one has filled half of the room it becomes the older one, and what was the older one is dropped whole. So forgetting
 * costs nothing per record, and what is kept of a stream is always an unbroken run up to its end.
 */
export class RecentRecords {
  readonly #generationBytesMax: number
  #young = new Map<Stream, StoredRecord[]>()
  #old = new Map<Stream, StoredRecord[]>()
  #youngBytes = 0

  constructor(bytesMax: number) {
    this.#generationBytesMax = bytesMax / 2
  }

  /** Takes the record that follows the stream's last one. Only for durable records. */
  add(stream: Stream, record: StoredRecord): void {
    if (this.#generationBytesMax === 0) return
    if (this.#youngBytes > this.#generationBytesMax) {
      this.#old = this.#young
      this.#young = new Map()
      this.#youngBytes = 0
    }
    const run = this.#young.get(stream)
    if (run) run.push(record)
    else this.#young.set(stream, [record])
    this.#youngBytes += bytesBesidesData + record.data.length
  }

  /**
   * Records after number `after`, `limit` at the most and no more once they hold `charsMax`; undefined if the run here
   * begins later.
   */
  read(stream: Stream, after: number, limit: number, charsMax: number): StoredRecord[] | undefined {
    const young = this.#young.get(stream)
    const old = this.#old.get(stream) ?? (young ? [] : undefined)
    const first = old?.[0] ?? young?.[0]
    if (!first || first.number > after + 1) return undefined
    const found: StoredRecord[] = []
    let chars = 0
    for (const run of [old, young]) {
      if (!run || run.length === 0) continue
      for (let at = Math.max(0, after + 1 - run[0]!.number); at < run.length; at++) {
        if (found.length === limit || chars >= charsMax) return found
        found.push(copyOf(run[at]!))
        chars += run[at]!.data.length
      }
    }
    return found
  }

  /** The record of that number, if it is still here. */
  find(stream: Stream, number: number): StoredRecord | undefined {
    for (const run of [this.#young.get(stream), this.#old.get(stream)]) {
      const record = run && run.length > 0 ? run[number - run[0]!.number] : undefined
      if (record) return record
    }
    return undefined
  }
}

/** Ids, key, trace and the object around them: what a record takes besides its data, about. */
const bytesBesidesData = 500
