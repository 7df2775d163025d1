import { AtollError, type Host } from '@atoll/host'
import type { LogRecord } from '../../driver.ts'
import type { WriterConnection } from './client.ts'
import { toRow } from './format.ts'
import type { Hints } from './hints.ts'
import type { KnownNumbers } from './known.ts'
import { Lane } from './lane.ts'
import type { RabbitmqLogLimits } from './limits.ts'
import { streamName } from './names.ts'

/** What an append holds for one partition. */
interface Part {
  readonly rows: string[]
  readonly numbers: number[]
}

export interface AppenderParts {
  readonly system: string
  readonly connection: WriterConnection
  readonly known: KnownNumbers
  readonly hints: Hints
  readonly host: Host
  readonly limits: RabbitmqLogLimits
  /** Hears the name of each stream that has grown. */
  readonly onWritten: (stream: string) => void
}

/** Takes appends apart by partition, each of which has a lane of its own. */
export class Appender {
  readonly #system: string
  readonly #connection: WriterConnection
  readonly #known: KnownNumbers
  readonly #hints: Hints
  readonly #host: Host
  readonly #limits: RabbitmqLogLimits
  readonly #onWritten: (stream: string) => void
  readonly #lanes = new Map<string, Lane>()

  constructor({ system, connection, known, hints, host, limits, onWritten }: AppenderParts) {
    this.#system = system
    this.#connection = connection
    this.#known = known
    this.#hints = hints
    this.#host = host
    this.#limits = limits
    this.#onWritten = onWritten
  }

  /** The names of streams that have been written to. */
  get streams(): readonly string[] {
    return [...this.#lanes.keys()]
  }

  /** Settles when a stream, which is being made, has been; undefined if it is not. */
  making(stream: string): Promise<void> | undefined {
    return this.#lanes.get(stream)?.making
  }

  /** Settles when nothing of it is under way any more. */
  async append(source: string, records: readonly LogRecord[]): Promise<void> {
    const written = await Promise.allSettled(
      [...divide(records)].map(([partition, part]) => this.#write(source, partition, part)),
    )
    const numbers = new Map(written.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])))
    if (numbers.size > 0) this.#hints.tell(source, numbers, this.#connection)
    for (const result of written) if (result.status === 'rejected') throw result.reason
  }

  /** Answers the partition and its last number. */
  async #write(
    source: string,
    partition: number,
    { rows, numbers }: Part,
  ): Promise<[partition: number, number: number]> {
    const stream = streamName(this.#system, source, partition)
    let lane = this.#lanes.get(stream)
    if (!lane) this.#lanes.set(stream, (lane = new Lane(stream, this.#connection, this.#host, this.#limits)))
    try {
      await lane.write(rows, numbers)
    } catch (error) {
      if (AtollError.from(error).code === 'LOG_GAP') this.#known.forget(stream)
      throw error
    }
    const last = numbers.reduce((most, number) => Math.max(most, number))
    this.#known.raise(stream, last, true)
    this.#onWritten(stream)
    return [partition, last]
  }
}

function divide(records: readonly LogRecord[]): Map<number, Part> {
  const parts = new Map<number, Part>()
  for (const record of records) {
    let part = parts.get(record.partition)
    if (!part) parts.set(record.partition, (part = { rows: [], numbers: [] }))
    part.rows.push(toRow(record))
    part.numbers.push(record.number)
  }
  return parts
}
