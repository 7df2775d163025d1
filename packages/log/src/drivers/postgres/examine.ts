import type { Examination, Finding } from '@atoll/host'
import { examinePostgres, type Pool } from '@atoll/postgres'

/**
 * What the server's settings and the log's own table mean for the promises. Also of a server that cannot be used, for
 * being a replica, say.
 */
export async function examineLog(pool: Pool, schema: string): Promise<Examination> {
  const connections = pool.connectionsMax + 1 // the last one listens
  const server = await examinePostgres(pool, {
    connections,
    message: `the log takes up to ${connections} in each process`,
  })
  const session = await pool.connect({ replica: true })
  try {
    const { rows } = await session.query<{ persistence: string; valid: boolean }>(
      `SELECT relpersistence::text AS persistence, EXISTS (SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisprimary AND indisvalid) AS valid
       FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident($1)) AND relname = 'records'`,
      [schema],
    )
    const table = rows[0]
    if (!table) return { ...server, findings: [...server.findings, missing(schema)] }
    const isLogged = table.persistence === 'p'
    const survives = isLogged
      ? server.survives
      : { 'process kill': false, 'OS crash': false, 'power loss': false, 'loss of a node': false }
    return {
      ...server,
      findings: [...server.findings, persistence(schema, isLogged), key(schema, table.valid)],
      survives,
    }
  } finally {
    session.destroy(new Error('the examination is over'))
  }
}

function missing(schema: string): Finding {
  return {
    name: 'postgres.log_persistence',
    value: 'no table',
    verdict: 'note',
    message: `there is no log in schema "${schema}" yet: start the system once, or give its role the right to create schemas`,
  }
}

function persistence(schema: string, isLogged: boolean): Finding {
  const name = 'postgres.log_persistence'
  if (isLogged) return { name, value: 'logged', verdict: 'holds', message: 'events are written ahead' }
  return {
    name,
    value: 'unlogged',
    verdict: 'breaks',
    message: `a crash of the server empties the table (promise 2): ALTER TABLE "${schema}".records SET LOGGED`,
  }
}

function key(schema: string, isValid: boolean): Finding {
  const name = 'postgres.log_key'
  if (isValid) return { name, value: 'valid', verdict: 'holds', message: 'a number is taken once' }
  return {
    name,
    value: 'none',
    verdict: 'breaks',
    message: `two events may take one number (promise 7): ALTER TABLE "${schema}".records ADD PRIMARY KEY (source, partition, number)`,
  }
}
