import { AtollError } from '@atoll/host'
import type { Database, Statement } from '@atoll/sqlite'
import type { StoredRecord } from '../../driver.ts'
import { streamSpan } from './format.ts'
import type { Stream } from './streams.ts'

/** A row as {@link Reader} selects it: place, then the columns in the order of the table. */
type Row = [number, string, string, string, number, string, number, string, string, string]

/** The table of records, read one stream at a time. */
export class Reader {
  readonly #selectAfter: Statement
  readonly #selectId: Statement

  constructor(database: Database) {
    this.#selectAfter = database
      .prepare(
        'SELECT place, "order", id, type, version, key, at, data, trace, cause FROM records WHERE place > ? AND place <= ? ORDER BY place LIMIT ?',
      )
      .raw()
    this.#selectId = database.prepare('SELECT id FROM records WHERE place = ?').pluck()
  }

  /** Durable records after number `after`, `limit` at the most and no more once they hold `charsMax`. */
  read(stream: Stream, after: number, limit: number, charsMax: number): StoredRecord[] {
    const base = stream.id * streamSpan
    const found: StoredRecord[] = []
    let chars = 0
    while (found.length < limit && chars < charsMax) {
      const rows = this.#selectAfter.all(
        base + after,
        base + stream.last,
        Math.min(limit - found.length, chunkRecords),
      ) as Row[] // the table is STRICT
      for (const [place, order, id, type, version, key, at, data, trace, cause] of rows) {
        if (chars >= charsMax) return found
        const number = place - base
        const { source, partition } = stream
        found.push({
          source,
          partition,
          number,
          offset: String(number),
          order,
          id,
          type,
          version,
          key,
          at,
          data,
          trace,
          cause,
        })
        chars += data.length
      }
      if (rows.length < chunkRecords) break
      after = rows[rows.length - 1]![0] - base
    }
    return found
  }

  /** The id of the record of that number, which must be there. */
  idOf(stream: Stream, number: number): string {
    const id = this.#selectId.get(stream.id * streamSpan + number) as string | undefined
    if (id === undefined) {
      throw new AtollError(
        'STORE_CORRUPT',
        `record ${number} in partition ${stream.partition} of ${stream.source} is missing from the log's file; restore stores and log from a backup of one moment`,
      )
    }
    return id
  }
}

/**
 * So many rows come out of SQLite at a time: enough to make a query cheap, few enough to bound what large records take.
 */
const chunkRecords = 128
