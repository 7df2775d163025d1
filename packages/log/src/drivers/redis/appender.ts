import { AtollError } from '@atoll/host'
import type { LogRecord } from '../../driver.ts'
import type { RedisConnection } from './client.ts'
import { foreign, headOf } from './format.ts'
import type { Hints } from './hints.ts'
import type { RedisLogLimits } from './limits.ts'
import { hintsChannel, streamKey } from './names.ts'
import { appendScript } from './script.ts'

/** Why the script refuses, and where. */
type Answer = [verdict: string, place: number, there: string]

/** What one run of the script is about. */
interface Part {
  readonly records: LogRecord[]
  /** The partitions, in the order of KEYS. */
  readonly partitions: number[]
  readonly args: string[]
}

/**
 * Appends by a script, which looks at all records of a call before it writes the first. What is too much for one run is
 * looked at as a whole first and then written in parts, each of which is looked at again: whatever came between,
 * nothing is written that leaves a hole.
 */
export class Appender {
  readonly #system: string
  readonly #connection: RedisConnection
  readonly #hints: Hints
  readonly #limits: RedisLogLimits
  /** By source, the last append of several parts under way: nothing may come between them. */
  readonly #inParts = new Map<string, Promise<unknown>>()

  constructor(system: string, connection: RedisConnection, hints: Hints, limits: RedisLogLimits) {
    this.#system = system
    this.#connection = connection
    this.#hints = hints
    this.#limits = limits
  }

  async append(source: string, records: readonly LogRecord[]): Promise<void> {
    const parts = this.#divide(records)
    await this.#inTurn(source, parts)
    this.#hints.tell(source, new Set(parts.flatMap(({ partitions }) => partitions)))
  }

  /** Copies the records into the arguments of the script, as many runs of it as they need. */
  #divide(records: readonly LogRecord[]): Part[] {
    const { scriptRecordsMax, scriptBytesMax } = this.#limits
    const parts: Part[] = []
    let part: Part | undefined
    let partBytes = 0
    for (const record of records) {
      const recordBytes = Buffer.byteLength(record.data)
      if (!part || part.records.length >= scriptRecordsMax || partBytes + recordBytes > scriptBytesMax) {
        part = { records: [], partitions: [], args: [] }
        parts.push(part)
        partBytes = 0
      }
      part.args.push(placeIn(part, record.partition), String(record.number), record.id, headOf(record), record.data)
      part.records.push(record)
      partBytes += recordBytes
    }
    return parts
  }

  /**
   * Commands of one connection are run in their order, so an append of one part needs to wait for none before it but
   * one of several.
   */
  async #inTurn(source: string, parts: readonly Part[]): Promise<void> {
    // whoever made it hears of it
    for (let before; (before = this.#inParts.get(source));) await before.catch(() => undefined)
    if (parts.length === 1) return this.#run('write', source, parts[0]!)
    const written = this.#writeAll(source, parts)
    this.#inParts.set(source, written)
    try {
      await written
    } finally {
      this.#inParts.delete(source)
    }
  }

  async #writeAll(source: string, parts: readonly Part[]): Promise<void> {
    const whole: Part = { records: [], partitions: [], args: [] }
    for (const { records } of parts) {
      for (const record of records) {
        whole.args.push(placeIn(whole, record.partition), String(record.number), record.id)
        whole.records.push(record)
      }
    }
    await this.#run('check', source, whole)
    for (const part of parts) await this.#run('write', source, part)
  }

  async #run(mode: 'write' | 'check', source: string, part: Part): Promise<void> {
    const keys = part.partitions.map((partition) => streamKey(this.#system, source, partition))
    // With its text, which Redis compiles once: one that is named instead may have been forgotten, and then the appends
    // sent behind it would be run before it.
    const args = [
      'EVAL',
      appendScript,
      String(keys.length),
      ...keys,
      mode,
      hintsChannel(this.#system, source),
      this.#hints.token,
    ]
    for (const arg of part.args) args.push(arg) // too many to spread
    const answer = await this.#connection.call((client) => client.sendCommand<Answer>(args))
    if (answer[0] !== 'ok') throw this.#refusal(source, part, answer)
  }

  #refusal(source: string, { records, partitions }: Part, [verdict, place, there]: Answer): AtollError {
    if (verdict === 'foreign') return foreign(source, partitions[place]!, there)
    if (verdict === 'lost') {
      const partition = partitions[place]!
      return new AtollError(
        'LOG_GAP',
        `the stream of partition ${partition} of ${source} had entries up to ${there}, and its last ones have been deleted: records are lost. Restore it`,
        { details: { source, partition } },
      )
    }
    const { partition, number, id } = records[place]!
    const details = { source, partition, number }
    if (verdict === 'gap') {
      return new AtollError(
        'LOG_GAP',
        `record ${number} cannot be appended to partition ${partition} of ${source}: the next number is ${there}`,
        { details: { ...details, expected: Number(there) } },
      )
    }
    if (verdict === 'gone') {
      return new AtollError(
        'LOG_GAP',
        `record ${number} of partition ${partition} of ${source} has been deleted from its stream, so that nobody can say whether it was event ${id}. Restore it`,
        { details },
      )
    }
    return new AtollError(
      'LOG_DIVERGED',
      `record ${number} in partition ${partition} of ${source} is event ${there}, and event ${id} was to be appended under that number: log and store are from different histories`,
      { details },
    )
  }
}

/** The place of a partition's stream among the KEYS of a part, from 1 as Lua counts. */
function placeIn({ partitions }: Part, partition: number): string {
  const at = partitions.indexOf(partition)
  return String(at >= 0 ? at + 1 : partitions.push(partition))
}
