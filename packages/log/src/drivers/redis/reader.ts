import { AtollError } from '@atoll/host'
import type { Offset, StoredRecord, Tail } from '../../driver.ts'
import { numberOfOffset } from '../shared/checks.ts'
import type { RedisConnection } from './client.ts'
import { replyOf } from './errors.ts'
import { foreign, numberOfEntry, toStored, type Entry } from './format.ts'
import type { RedisLogLimits } from './limits.ts'
import { streamKey } from './names.ts'

/** Reads streams. What is missing in one is told as a gap, wherever it is missing. */
export class Reader {
  readonly #system: string
  readonly #connection: RedisConnection
  readonly #limits: RedisLogLimits

  constructor(system: string, connection: RedisConnection, limits: RedisLogLimits) {
    this.#system = system
    this.#connection = connection
    this.#limits = limits
  }

  /** In two steps at the most: the first tells how large these records are, and so how many the second may ask for. */
  async read(source: string, partition: number, after: Offset | null, limit: number): Promise<StoredRecord[]> {
    const { readBytesMax, dataBytesMax } = this.#limits
    const start = after === null ? 0 : numberOfOffset(after)
    const firstCount = Math.min(limit, Math.max(1, Math.floor(readBytesMax / dataBytesMax)))
    const found = await this.#readAfter(source, partition, start, firstCount)
    if (found.length < firstCount || limit === firstCount) return found
    const bytes = found.reduce((sum, { data }) => sum + data.length, 1)
    const more = Math.min(limit - found.length, Math.floor(((readBytesMax - bytes) * found.length) / bytes))
    return more > 0
      ? found.concat(await this.#readAfter(source, partition, start + found.length, more).catch(nothingAtGap))
      : found
  }

  async tail(source: string, partition: number): Promise<Tail | null> {
    const key = streamKey(this.#system, source, partition)
    const [entry] = await this.#connection.call((client) =>
      client.sendCommand<Entry[]>(['XREVRANGE', key, '+', '-', 'COUNT', '1']),
    )
    if (!entry) return null
    const { number, offset, id } = toStored(source, partition, entry)
    return { number, offset, id }
  }

  /**
   * `count` records after number `start` at the most. Asks for the record at `start` too: that it is there shows that
   * an empty answer means the end, and not that the stream has gone.
   */
  async #readAfter(source: string, partition: number, start: number, count: number): Promise<StoredRecord[]> {
    const key = streamKey(this.#system, source, partition)
    const entries = await this.#connection.call((client) =>
      client.sendCommand<Entry[]>(['XRANGE', key, `${start}-0`, '+', 'COUNT', String(count + 1)]),
    )
    const records: StoredRecord[] = []
    for (const entry of entries) {
      const number = numberOfEntry(source, partition, entry[0])
      if (number === start) continue
      const expected = start + records.length + 1
      if (number !== expected && records.length === 0)
        throw missing(source, partition, start, `goes on with number ${number}`)
      if (number !== expected || records.length === count) break // a hole is told when it comes first
      records.push(toStored(source, partition, entry))
    }
    if (entries.length === 0) await this.#assertEndsAt(source, partition, start)
    return records
  }

  /**
   * The stream has nothing from `start` on: only right if it never had, or if all up to `start` was deleted, but
   * nothing after it.
   */
  async #assertEndsAt(source: string, partition: number, start: number): Promise<void> {
    const last = await this.#lastNumber(source, partition)
    if (last === start) return
    if (last < start) throw missing(source, partition, start, `ends at number ${last}`)
    const [entry] = await this.#connection.call((client) =>
      client.sendCommand<Entry[]>([
        'XRANGE',
        streamKey(this.#system, source, partition),
        `${start}-1`,
        '+',
        'COUNT',
        '1',
      ]),
    )
    // appended meanwhile; whoever reads again gets it
    if (entry && numberOfEntry(source, partition, entry[0]) === start + 1) return
    throw missing(source, partition, start, `has had entries up to number ${last}, which are gone`)
  }

  /** The number of the last entry that the stream ever had; 0 if there is no stream. */
  async #lastNumber(source: string, partition: number): Promise<number> {
    const key = streamKey(this.#system, source, partition)
    try {
      const info = await this.#connection.call((client) => client.sendCommand<unknown[]>(['XINFO', 'STREAM', key]))
      const id = String(info[info.indexOf('last-generated-id') + 1])
      if (!/^\d+-0$/.test(id)) throw foreign(source, partition, id)
      return Number(id.slice(0, -2))
    } catch (error) {
      if (replyOf(error)?.includes('no such key')) return 0
      throw error
    }
  }
}

/** What comes before a gap is answered; the gap is told to whoever reads on from there. */
function nothingAtGap(error: unknown): StoredRecord[] {
  if (error instanceof AtollError && error.code === 'LOG_GAP') return []
  throw error
}

function missing(source: string, partition: number, start: number, what: string): AtollError {
  return new AtollError(
    'LOG_GAP',
    `the stream of partition ${partition} of ${source} ${what}, and has been read up to ${start}: records are lost. Restore it`,
    { details: { source, partition, after: start } },
  )
}
