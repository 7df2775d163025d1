import { AtollError } from '@atoll/host'
import { toAtollError, type Database, type Statement } from '@atoll/sqlite'
import type { LogRecord, StoredRecord } from '../../driver.ts'
import type { RecentRecords } from './recent.ts'
import type { Records } from './records.ts'
import type { Stream, Streams } from './streams.ts'

/** One call of append, on its way. */
export interface Append {
  readonly source: string
  readonly records: readonly LogRecord[]
  resolve(): void
  reject(error: AtollError): void
}

/** What a commit adds; its records and their streams side by side. */
interface Addition {
  readonly records: StoredRecord[]
  readonly streams: Stream[]
  readonly newStreams: Stream[]
  readonly refusals: Map<Append, AtollError>
}

/** Makes appends durable: many of them by one commit. Everything happens within one turn, so no reader can come in between. */
export class Committer {
  readonly #database: Database
  readonly #file: string
  readonly #streams: Streams
  readonly #records: Records
  readonly #recent: RecentRecords
  readonly #begin: Statement
  readonly #commit: Statement
  readonly #rollback: Statement

  constructor(database: Database, file: string, streams: Streams, records: Records, recent: RecentRecords) {
    this.#database = database
    this.#file = file
    this.#streams = streams
    this.#records = records
    this.#recent = recent
    this.#begin = database.prepare('BEGIN IMMEDIATE')
    this.#commit = database.prepare('COMMIT')
    this.#rollback = database.prepare('ROLLBACK')
  }

  /** Commits and settles every append. Answers the streams that have new records. */
  commit(appends: readonly Append[]): Stream[] {
    const addition: Addition = { records: [], streams: [], newStreams: [], refusals: new Map() }
    let written = 0
    try {
      this.#begin.run()
      for (const append of appends) {
        this.#write(append, addition)
        written++
      }
      this.#commit.run()
    } catch (error) {
      const begun = this.#undo(addition)
      // What SQLite cannot take of one append must not take the others with it: each once more, alone.
      if (begun && written < appends.length && appends.length > 1) return appends.flatMap((append) => this.commit([append]))
      const failure = toAtollError(error, this.#file)
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

  /** Writes what is new of an append; nothing if it is refused. */
  #write(append: Append, addition: Addition): void {
    const start = addition.records.length
    const refusal = this.#accept(append, addition)
    if (refusal) {
      addition.refusals.set(append, refusal)
      for (let at = start; at < addition.records.length; at++) addition.streams[at]!.next--
      addition.records.length = start
      addition.streams.length = start
      return
    }
    for (let at = start; at < addition.records.length; at++) {
      const stream = addition.streams[at]!
      if (!stream.stored) {
        this.#streams.store(stream)
        stream.stored = true
        addition.newStreams.push(stream)
      }
      this.#records.insert(stream, addition.records[at]!)
    }
  }

  /** Takes what is new of an append into the addition, or says why not. */
  #accept(append: Append, addition: Addition): AtollError | undefined {
    const { source } = append
    for (const record of append.records) {
      const stream = this.#streams.findOrAdd(source, record.partition)
      if (record.number === stream.next + 1) {
        stream.next++
        addition.records.push(toStored(source, record))
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
      return new AtollError('LOG_GAP', `record ${number} cannot be appended to partition ${partition} of ${source}: the next number is ${stream.next + 1}`, {
        details: { source, partition, number, expected: stream.next + 1 },
      })
    }
    const id = number > stream.last ? idIn(addition, stream, number) : (this.#recent.find(stream, number)?.id ?? this.#records.idOf(stream, number))
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

  /** After a failure: nothing of it happened. Answers whether a transaction had begun. */
  #undo(addition: Addition): boolean {
    for (const stream of addition.streams) stream.next = stream.last
    for (const stream of addition.newStreams) stream.stored = false
    if (!this.#database.inTransaction) return false // some failures make SQLite roll back by itself
    this.#rollback.run()
    return true
  }
}

function idIn(addition: Addition, stream: Stream, number: number): string {
  const at = addition.streams.findIndex((other, index) => other === stream && addition.records[index]!.number === number)
  return addition.records[at]!.id // numbers above stream.last are in the addition, or stream.next would be lower
}

function toStored(source: string, record: LogRecord): StoredRecord {
  return {
    source,
    partition: record.partition,
    number: record.number,
    offset: String(record.number),
    order: record.order,
    id: record.id,
    type: record.type,
    version: record.version,
    key: record.key,
    at: record.at,
    data: record.data,
    trace: record.trace,
    cause: record.cause,
  }
}
