import { AtollError } from '@atoll/host'
import { quoteIdentifier, sqlStateOf, type Client, type Pool } from '@atoll/postgres'

/** Raised when the tables change in a way that older code would misread. */
const formatVersion = 1

/** The schema of a system's log. It is also the name of the channel on which its writers say what is new. */
export function schemaOf(system: string): string {
  return `atoll_log_${system}`
}

/**
 * Makes the tables if they are not there. Any number of processes may do so at the same time. Refuses, with
 * STORE_NEWER, those of a newer version.
 */
export async function ensureTables(pool: Pool, schema: string): Promise<void> {
  const name = quoteIdentifier(schema)
  // Looked for first, because who may use the tables need not be allowed to create any.
  if (!(await isThere(pool, schema))) await pool.use((client) => createTables(client, schema, name))
  const { rows } = await pool.query<{ version: number }>(`SELECT version FROM ${name}.format`)
  const version = rows[0]?.version
  if (version === formatVersion) return
  if (version === undefined)
    throw new AtollError('STORE_CORRUPT', `${pool.name}: ${schema}.format is empty; restore the schema from a backup`)
  throw new AtollError(
    'STORE_NEWER',
    `${pool.name}: the log in schema ${schema} has format ${version}, and this version reads format ${formatVersion}; run a newer one`,
  )
}

async function isThere(client: Client, schema: string): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'format') AS there`,
    [schema],
  )
  return rows[0]?.there === true
}

/**
 * CREATE … IF NOT EXISTS alone is not safe when two do it at the same time: one of them fails on a catalogue's unique
 * index.
 */
async function createTables(client: Client, schema: string, name: string): Promise<void> {
  await client.query('BEGIN')
  await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [schema])
  if (!(await isThere(client, schema))) for (const statement of tables(name)) await client.query(statement)
  await client.query('COMMIT')
}

/**
 * One table, with the key by which it is read and by which writers exclude one another. Texts that are compared are
 * compared byte by byte (COLLATE "C"), whatever the database is set to. People read it with psql: `SELECT * FROM
 * atoll_log_shop.records WHERE source = 'orders' ORDER BY partition, number`.
 */
function tables(name: string): string[] {
  return [
    `CREATE SCHEMA IF NOT EXISTS ${name}`,
    `CREATE TABLE ${name}.records (
      source text COLLATE "C" NOT NULL,
      partition int4 NOT NULL,
      number int8 NOT NULL,
      "order" text COLLATE "C" NOT NULL,
      id text COLLATE "C" NOT NULL,
      type text COLLATE "C" NOT NULL,
      version int4 NOT NULL,
      key text COLLATE "C" NOT NULL,
      at int8 NOT NULL,
      data text COLLATE "C" NOT NULL,
      trace text COLLATE "C" NOT NULL,
      cause text COLLATE "C" NOT NULL,
      PRIMARY KEY (source, partition, number)
    )`,
    `CREATE TABLE ${name}.format (version int4 NOT NULL)`,
    `INSERT INTO ${name}.format VALUES (${formatVersion})`,
  ]
}

/** Whether somebody has dropped the tables since they were made. */
export function areTablesGone(error: unknown): boolean {
  const state = sqlStateOf(error)
  return state === '42P01' || state === '3F000'
}
