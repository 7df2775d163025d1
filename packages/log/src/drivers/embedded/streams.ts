import { AtollError } from '@atoll/host'
import type { Database } from '@atoll/sqlite'
import { streamIdMax, streamSpan } from './format.ts'

/** One partition of one source. */
export interface Stream {
  readonly id: number
  readonly source: string
  readonly partition: number
  /** The number of its last durable record, 0 without records. */
  last: number
  /** The number of its last record in the commit under way; else the same as `last`. */
  next: number
  /** Whether the file knows it. */
  stored: boolean
}

/** The streams of a log file and where each ends, in memory, so that an append need not ask the file. */
export class Streams {
  readonly #bySource = new Map<string, Map<number, Stream>>()
  #idLast = 0

  constructor(database: Database) {
    const lastPlace = database.prepare('SELECT max(place) FROM records WHERE place > ? AND place < ?').pluck()
    // the table is STRICT
    const rows = database.prepare('SELECT id, source, partition FROM streams').raw().all() as [number, string, number][]
    for (const [id, source, partition] of rows) {
      const base = id * streamSpan
      const place = lastPlace.get(base, base + streamSpan) as number | null
      const last = place === null ? 0 : place - base
      this.#add({ id, source, partition, last, next: last, stored: true })
      this.#idLast = Math.max(this.#idLast, id)
    }
  }

  find(source: string, partition: number): Stream | undefined {
    return this.#bySource.get(source)?.get(partition)
  }

  findOrAdd(source: string, partition: number): Stream {
    return this.find(source, partition) ?? this.#create(source, partition)
  }

  #create(source: string, partition: number): Stream {
    if (!Number.isInteger(partition) || partition < 0) {
      throw new AtollError(
        'INVALID',
        `a record of ${source} has partition ${partition}; partitions are whole numbers from 0`,
      )
    }
    if (this.#idLast >= streamIdMax) {
      throw new AtollError(
        'UNSUPPORTED',
        `the log holds ${streamIdMax} streams and cannot take partition ${partition} of ${source}; use fewer partitions or another log`,
      )
    }
    this.#idLast++
    const stream: Stream = { id: this.#idLast, source, partition, last: 0, next: 0, stored: false }
    this.#add(stream)
    return stream
  }

  #add(stream: Stream): void {
    let partitions = this.#bySource.get(stream.source)
    if (!partitions) this.#bySource.set(stream.source, (partitions = new Map()))
    partitions.set(stream.partition, stream)
  }
}
