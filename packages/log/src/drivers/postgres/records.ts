import { AtollError } from '@atoll/host'
import {
  fromStorable,
  int4Array,
  int8Array,
  quoteIdentifier,
  textArray,
  toStorable,
  type Client,
} from '@atoll/postgres'
import type { LogRecord, StoredRecord, Tail } from '../../driver.ts'

/** A record that is to be written, with its source. */
export interface Addition {
  readonly source: string
  readonly record: LogRecord
}

/** A stream (one partition of one source), and the number of its last record as somebody believes it to be. */
export interface Expected {
  readonly source: string
  readonly partition: number
  readonly last: number
}

/** A place in the log. */
export interface Place {
  readonly source: string
  readonly partition: number
  readonly number: number
}

/** The statements on the table of records. */
export class Records {
  readonly #append: string
  readonly #tails: string
  readonly #ids: string
  readonly #read: string
  readonly #tail: string

  constructor(schema: string) {
    const records = `${quoteIdentifier(schema)}.records`
    const lastOf = (source: string, partition: string): string =>
      `(SELECT number FROM ${records} AS r WHERE r.source = ${source} AND r.partition = ${partition} ORDER BY number DESC LIMIT 1)`
    this.#append = `
      INSERT INTO ${records} (source, partition, number, "order", id, type, version, key, at, data, trace, cause)
      SELECT * FROM unnest($1::text[], $2::int4[], $3::int8[], $4::text[], $5::text[], $6::text[], $7::int4[], $8::text[], $9::int8[], $10::text[], $11::text[], $12::text[])
      WHERE NOT EXISTS (
        SELECT FROM unnest($13::text[], $14::int4[], $15::int8[]) AS e (source, partition, last)
        WHERE e.last <> coalesce(${lastOf('e.source', 'e.partition')}, 0)
      )`
    this.#tails = `
      SELECT coalesce(${lastOf('e.source', 'e.partition')}, 0) AS last
      FROM unnest($1::text[], $2::int4[]) WITH ORDINALITY AS e (source, partition, place) ORDER BY place`
    this.#ids = `
      SELECT (SELECT id FROM ${records} AS r WHERE r.source = e.source AND r.partition = e.partition AND r.number = e.number)
      FROM unnest($1::text[], $2::int4[], $3::int8[]) WITH ORDINALITY AS e (source, partition, number, place) ORDER BY place`
    // The record at $3 itself comes along, without its data, to show that the log reaches so far.
    this.#read = `
      SELECT number, "order", id, type, version, key, at, data, trace, cause FROM (
        SELECT *, sum(octet_length(data)) OVER (ORDER BY number ROWS UNBOUNDED PRECEDING) - octet_length(data) AS bytes_before FROM (
          SELECT number, "order", id, type, version, key, at, CASE WHEN number > $3 THEN data ELSE '' END AS data, trace, cause
          FROM ${records} WHERE source = $1 AND partition = $2 AND number >= $3 ORDER BY number LIMIT $4
        ) AS page
      ) AS page WHERE bytes_before < $5 ORDER BY number`
    this.#tail = `SELECT number, id FROM ${records} WHERE source = $1 AND partition = $2 ORDER BY number DESC LIMIT 1`
  }

  /**
   * Writes all of it if each stream ends where it is expected to, and nothing if one does not; answers which. If
   * another writer adds to one of the streams at the same time, rejects with what `isAnotherWriter` knows: its records
   * and these have the same keys, and one waits for the other's commit to see which of them stays.
   */
  async append(client: Client, additions: readonly Addition[], expected: readonly Expected[]): Promise<boolean> {
    const texts = (column: 'order' | 'id' | 'type' | 'key' | 'data' | 'trace' | 'cause'): Buffer =>
      textArray(additions.map(({ record }) => toStorable(record[column])))
    const { count } = await client.query(this.#append, [
      textArray(additions.map(({ source }) => toStorable(source))),
      int4Array(additions.map(({ record }) => record.partition)),
      int8Array(additions.map(({ record }) => record.number)),
      texts('order'),
      texts('id'),
      texts('type'),
      int4Array(additions.map(({ record }) => record.version)),
      texts('key'),
      int8Array(additions.map(({ record }) => record.at)),
      texts('data'),
      texts('trace'),
      texts('cause'),
      textArray(expected.map(({ source }) => toStorable(source))),
      int4Array(expected.map(({ partition }) => partition)),
      int8Array(expected.map(({ last }) => last)),
    ])
    return count === additions.length
  }

  /** The number of each stream's last record, 0 without records. */
  async lasts(client: Client, streams: readonly Omit<Expected, 'last'>[]): Promise<number[]> {
    const { rows } = await client.query<{ last: number }>(this.#tails, [
      textArray(streams.map(({ source }) => toStorable(source))),
      int4Array(streams.map(({ partition }) => partition)),
    ])
    return rows.map(({ last }) => last)
  }

  /** The id of the record at each place; null where there is none. */
  async ids(client: Client, places: readonly Place[]): Promise<(string | null)[]> {
    const { rows } = await client.query<{ id: string | null }>(this.#ids, [
      textArray(places.map(({ source }) => toStorable(source))),
      int4Array(places.map(({ partition }) => partition)),
      int8Array(places.map(({ number }) => number)),
    ])
    return rows.map(({ id }) => (id === null ? null : fromStorable(id)))
  }

  /**
   * The records after number `after`, `limit` at the most and no more once they hold `bytesMax` of data, up to the
   * first that is missing. Rejects with LOG_GAP if that is the very next one, or if the log ends before `after`.
   */
  async read(
    client: Client,
    source: string,
    partition: number,
    after: number,
    limit: number,
    bytesMax: number,
  ): Promise<StoredRecord[]> {
    const { rows } = await client.query<Omit<LogRecord, 'partition'>>(this.#read, [
      toStorable(source),
      partition,
      after,
      limit + 1,
      bytesMax,
    ])
    const first = rows[0]
    if (!first && after > 0)
      throw gap(source, partition, `has nothing from number ${after} on, and has been read up to there`)
    const next = first?.number === after ? rows[1] : first
    if (next && next.number !== after + 1)
      throw gap(source, partition, `goes on with number ${next.number} after ${after}`)
    const found: StoredRecord[] = []
    for (let at = next === first ? 0 : 1; at < rows.length && found.length < limit; at++) {
      const { number, order, id, type, version, key, at: time, data, trace, cause } = rows[at]!
      if (number !== after + 1 + found.length) break
      found.push({
        source,
        partition,
        number,
        offset: String(number),
        order: fromStorable(order),
        id: fromStorable(id),
        type: fromStorable(type),
        version,
        key: fromStorable(key),
        at: time,
        data: fromStorable(data),
        trace: fromStorable(trace),
        cause: fromStorable(cause),
      })
    }
    return found
  }

  async tail(client: Client, source: string, partition: number): Promise<Tail | null> {
    const { rows } = await client.query<{ number: number; id: string }>(this.#tail, [toStorable(source), partition])
    const last = rows[0]
    return last ? { number: last.number, offset: String(last.number), id: fromStorable(last.id) } : null
  }
}

function gap(source: string, partition: number, what: string): AtollError {
  return new AtollError('LOG_GAP', `partition ${partition} of ${source} ${what}: records are lost. Restore the log`, {
    details: { source, partition },
  })
}
