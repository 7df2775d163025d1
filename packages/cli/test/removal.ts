import { engineUrl } from '@atoll/engines'
import { createNodeHost } from '@atoll/host/node'
import { openPool, quoteIdentifier } from '@atoll/postgres'

/** Removes what a system of this name has left on the PostgreSQL that tests share. */
export async function removeSystem(system: string): Promise<void> {
  const pool = openPool({
    url: engineUrl('postgres'),
    host: createNodeHost(),
    applicationName: 'tests',
    connectionsMax: 1,
  })
  const { rows: schemas } = await pool.query<{ nspname: string }>(
    'SELECT nspname::text FROM pg_namespace WHERE nspname LIKE $1 OR nspname = $2',
    [`${system}\\_%`, `atoll_log_${system}`],
  )
  for (const { nspname } of schemas) await pool.query(`DROP SCHEMA ${quoteIdentifier(nspname)} CASCADE`)
  const { rows: roles } = await pool.query<{ rolname: string }>(
    'SELECT rolname::text FROM pg_roles WHERE rolname LIKE $1',
    [`${system}\\_%`],
  )
  for (const { rolname } of roles) await pool.query(`DROP ROLE ${quoteIdentifier(rolname)}`)
  await pool.close()
}
