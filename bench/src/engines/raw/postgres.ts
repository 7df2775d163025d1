import type { LogRecord } from '@atoll/log/driver'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { PAGE, readPages, type Raw, type RawSource } from './raw.ts'

const columns = [
  'partition',
  'number',
  'order',
  'id',
  'type',
  'version',
  'key',
  'at',
  'data',
  'trace',
  'cause',
] as const satisfies readonly (keyof LogRecord)[]
const names = columns.map((column) => `"${column}"`).join(', ')

/**
 * One table per source with the columns of a record, a commit per batch: written by COPY, or by one INSERT of arrays.
 */
export function createRawPostgres(url: string): Raw[] {
  return [
    create(url, 'COPY', (pool, table) => {
      const statement = `COPY ${table} (${names}) FROM STDIN`
      return async (records) => {
        const client = await pool.connect()
        try {
          await pipeline(Readable.from([records.map(toLine).join('')]), client.query(copyFrom(statement)))
        } finally {
          client.release()
        }
      }
    }),
    create(url, 'INSERT of arrays', (pool, table) => {
      const text = `INSERT INTO ${table} (${names}) SELECT * FROM unnest($1::int[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::bigint[], $9::text[], $10::text[], $11::text[])`
      return async (records) => {
        await pool.query({
          name: `insert ${table}`,
          text,
          values: columns.map((column) => records.map((record) => record[column])),
        })
      }
    }),
  ]
}

function create(url: string, name: string, writer: (pool: pg.Pool, table: string) => RawSource['append']): Raw {
  const pool = new pg.Pool({ connectionString: url, max: 4 })
  return {
    name,
    async begin(source) {
      const table = `"raw ${source}"`
      await pool.query(`CREATE TABLE ${table} (partition int NOT NULL, number bigint NOT NULL, "order" text NOT NULL, id text NOT NULL, type text NOT NULL, version int NOT NULL,
        key text NOT NULL, at bigint NOT NULL, data text NOT NULL, trace text NOT NULL, cause text NOT NULL, PRIMARY KEY (partition, number))`)
      const select = {
        name: `select ${table}`,
        text: `SELECT ${names} FROM ${table} WHERE partition = $1 AND number > $2 ORDER BY number LIMIT ${PAGE}`,
      }
      return {
        append: writer(pool, table),
        read: (count) =>
          readPages(count, async (partition, after) => {
            const { rows } = await pool.query({ ...select, values: [partition, after] })
            // bigint comes as text.
            for (const row of rows as { number: number; at: number }[]) {
              row.number = Number(row.number)
              row.at = Number(row.at)
            }
            return rows as LogRecord[]
          }),
        end: async () => void (await pool.query(`DROP TABLE ${table}`)),
      }
    },
    close: () => pool.end(),
  }
}

/** A row as COPY reads it. JSON has backslashes, and nothing else here has what would need them. */
function toLine(record: LogRecord): string {
  return `${columns.map((column) => String(record[column]).replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n')).join('\t')}\n`
}
