import type { Host } from '@atoll/host'
import type { Log, StoredRecord } from '@atoll/log/driver'
import type { EventsOptions } from '../admin.ts'

/**
 * The events of a system's log: per partition in order, and across partitions by the time of their emission, as near as
 * that can be had by always taking the earliest next one. With `follow` it goes on as they come.
 */
export async function* feedEvents(
  log: Log,
  host: Host,
  sources: readonly string[],
  partitions: number,
  options: EventsOptions,
): AsyncGenerator<StoredRecord> {
  const readers = sources
    .filter((source) => options.source === undefined || source === options.source)
    .flatMap((source) => Array.from({ length: partitions }, (_, partition) => new Slice(log, source, partition)))
  for (;;) {
    let earliest: Slice | undefined
    for (const reader of readers) {
      const head = await reader.head()
      if (head && (!earliest || head.at < earliest.next!.at)) earliest = reader
    }
    if (earliest) {
      const record = earliest.take()
      if (matches(record, options)) yield record
      continue
    }
    if (!options.follow || options.signal?.aborted) return
    await news(log, host, sources, options.signal)
    if (options.signal?.aborted) return
    for (const reader of readers) reader.exhausted = false
  }
}

function matches(record: StoredRecord, { type, key }: EventsOptions): boolean {
  return (type === undefined || record.type === type) && (key === undefined || record.key === key)
}

/** Resolves when a source has something new, when it is time to look anyway, or when the signal aborts. */
function news(log: Log, host: Host, sources: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const unwatch of unwatches) unwatch()
      timer.cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const unwatches = sources.map((source) => log.watch(source, done))
    const timer = host.after(LOOK_MS, done)
    signal?.addEventListener('abort', done, { once: true })
  })
}

/** One source and partition, read a batch at a time. */
class Slice {
  next: StoredRecord | undefined
  exhausted = false
  readonly #log: Log
  readonly #source: string
  readonly #partition: number
  #batch: StoredRecord[] = []
  #index = 0
  #after: string | null = null
  /** Of the last record that was taken: a log that does not check appends may repeat some. */
  #number = 0

  constructor(log: Log, source: string, partition: number) {
    this.#log = log
    this.#source = source
    this.#partition = partition
  }

  async head(): Promise<StoredRecord | undefined> {
    while (!this.next && !this.exhausted) {
      if (this.#index >= this.#batch.length) {
        this.#batch = await this.#log.read(this.#source, this.#partition, this.#after, BATCH)
        this.#index = 0
        this.exhausted = this.#batch.length === 0
      }
      const record = this.#batch[this.#index++]
      if (!record) break
      this.#after = record.offset
      if (record.number > this.#number) this.next = record
    }
    return this.next
  }

  take(): StoredRecord {
    const record = this.next! // the caller has seen head()
    this.next = undefined
    this.#number = record.number
    return record
  }
}

const BATCH = 200
const LOOK_MS = 1_000
