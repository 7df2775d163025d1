import { AtollError } from '@atoll/host'
import type { LogRecord, StoredRecord } from '../../driver.ts'
import { toStored } from '../shared/copy.ts'
import type { Append } from '../shared/group-commit.ts'
import { streamSpan } from './format.ts'
import type { RecentRecords } from './recent.ts'
import type { Reader } from './reader.ts'
import type { Stream, Streams } from './streams.ts'
import type { Writer } from './writer.ts'

/** What a commit adds; its records and their streams side by side. */
interface Addition {
  readonly records: StoredRecord[]
  readonly streams: Stream[]
  readonly refusals: Map<Append, AtollError>
}

/** Makes appends durable: many of them by one commit, one commit at a time. What is not durable yet, no reader sees. */
export class Appender {
  readonly #streams: Streams
  readonly #reader: Reader
  readonly #recent: RecentRecords
  readonly #writer: Writer

  constructor(streams: Streams, reader: Reader, recent: RecentRecords, writer: Writer) {
    this.#streams = streams
    this.#reader = reader
    this.#recent = recent
    this.#writer = writer
  }

  /** Commits and settles every append. Answers the streams that have new records. */
  async commit(appends: readonly Append[]): Promise<Stream[]> {
    const addition: Addition = { records: [], streams: [], refusals: new Map() }
    for (const append of appends) this.#accept(append, addition)
    try {
      if (addition.records.length > 0) await this.#write(addition)
    } catch (error) {
      for (const stream of addition.streams) stream.next = stream.last
      const failure = AtollError.from(error)
      // What SQLite cannot take of one append must not take the others with it: each once more, alone.
      if (failure.code === 'INTERNAL' && appends.length > 1) return this.#commitEach(appends)
      for (const append of appends) append.reject(failure)
      return []
    }
    const moved = this.#publish(addition)
    for (const append of appends) {
      const refusal = addition.refusals.get(append)
      if (refusal) append.reject(refusal)
      else append.resolve()
    }
    return moved
  }

  async #commitEach(appends: readonly Append[]): Promise<Stream[]> {
    const moved: Stream[] = []
    for (const append of appends) moved.push(...(await this.commit([append])))
    return moved
  }

  async #write({ records, streams }: Addition): Promise<void> {
    const values: (string | number)[] = []
    for (let at = 0; at < records.length; at++) {
      const { number, order, id, type, version, key, at: time, data, trace, cause } = records[at]!
      values.push(streams[at]!.id * streamSpan + number, order, id, type, version, key, time, data, trace, cause)
    }
    const unknown = [...new Set(streams)].filter((stream) => !stream.stored)
    await this.#writer.write({ streams: unknown.map(({ id, source, partition }) => [id, source, partition]), values })
    for (const stream of unknown) stream.stored = true
  }

  /** Takes what is new of an append into the addition; nothing if it is refused. */
  #accept(append: Append, addition: Addition): void {
    const start = addition.records.length
    let refusal: AtollError | undefined
    try {
      refusal = this.#take(append, addition)
    } catch (error) {
      refusal = AtollError.from(error)
    }
    if (!refusal) return
    addition.refusals.set(append, refusal)
    for (let at = start; at < addition.records.length; at++) addition.streams[at]!.next--
    addition.records.length = start
    addition.streams.length = start
  }

  #take(append: Append, addition: Addition): AtollError | undefined {
    const { source } = append
    for (const record of append.records) {
      const stream = this.#streams.findOrAdd(source, record.partition)
      if (record.number === stream.next + 1) {
        stream.next++
        addition.records.push(toStored(source, record, String(record.number)))
        addition.streams.push(stream)
        continue
      }
      const refusal = this.#refusalOfRepeat(stream, record, addition)
      if (refusal) return refusal
    }
    return undefined
  }

  #refusalOfRepeat(stream: Stream, record: LogRecord, addition: Addition): AtollError | undefined {
    const { source, partition } = stream
    const { number } = record
    if (!(number >= 1 && number <= stream.next)) {
      return new AtollError(
        'LOG_GAP',
        `record ${number} cannot be appended to partition ${partition} of ${source}: the next number is ${stream.next + 1}`,
        {
          details: { source, partition, number, expected: stream.next + 1 },
        },
      )
    }
    const id =
      number > stream.last
        ? idIn(addition, stream, number)
        : (this.#recent.find(stream, number)?.id ?? this.#reader.idOf(stream, number))
    if (id === record.id) return undefined
    return new AtollError(
      'LOG_DIVERGED',
      `record ${number} in partition ${partition} of ${source} is event ${id}, and event ${record.id} was to be appended under that number: log and store are from different histories`,
      { details: { source, partition, number } },
    )
  }

  /** After the commit: what is durable may be read. Answers the streams that grew. */
  #publish(addition: Addition): Stream[] {
    const moved: Stream[] = []
    for (let at = 0; at < addition.records.length; at++) {
      const stream = addition.streams[at]!
      this.#recent.add(stream, addition.records[at]!)
      if (stream.last === stream.next) continue
      stream.last = stream.next
      moved.push(stream)
    }
    return moved
  }
}

function idIn(addition: Addition, stream: Stream, number: number): string {
  const at = addition.streams.findIndex(
    (other, index) => other === stream && addition.records[index]!.number === number,
  )
  return addition.records[at]!.id // numbers above stream.last are in the addition, or stream.next would be lower
}
