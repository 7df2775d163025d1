import { randomBytes } from 'node:crypto'
import { engineUrl } from '@atoll/engines'
import { createNodeHost } from '@atoll/host/node'
import { openPool, quoteIdentifier } from '@atoll/postgres'
import type { StoreHarness } from '../src/conformance.ts'
import { createPostgresStores } from '../src/postgres.ts'

/** PostgreSQL stores for the suite: a system of its own for each test. */
export function createPostgresHarness(): StoreHarness {
  return {
    capabilities: { sql: 'postgres', persistent: true, canBeDurable: true, groupsCommits: true, writesQueuedMax },
    async open() {
      const system = freshSystem()
      const driver = createPostgresStores({
        url: engineUrl('postgres'),
        system,
        host: createNodeHost(),
        limits: { writesQueuedMax },
      })
      return {
        driver,
        async dispose() {
          await driver.close()
          await removeSystem(system)
        },
      }
    },
    pause: () => new Promise((resolve) => void setTimeout(resolve, 5)),
  }
}

/** A name that no other test uses. */
export function freshSystem(): string {
  return `test-${randomBytes(6).toString('hex')}`
}

/** Every schema and role of a system. */
export async function removeSystem(system: string, url = engineUrl('postgres')): Promise<void> {
  const pool = openPool({ url, host: createNodeHost(), applicationName: 'tests', connectionsMax: 1 })
  const { rows: schemas } = await pool.query<{ nspname: string }>(
    'SELECT nspname::text FROM pg_namespace WHERE nspname LIKE $1',
    [`${system}\\_%`],
  )
  for (const { nspname } of schemas) await pool.query(`DROP SCHEMA ${quoteIdentifier(nspname)} CASCADE`)
  const { rows: roles } = await pool.query<{ rolname: string }>(
    'SELECT rolname::text FROM pg_roles WHERE rolname LIKE $1',
    [`${system}\\_%`],
  )
  for (const { rolname } of roles) await pool.query(`DROP ROLE ${quoteIdentifier(rolname)}`)
  await pool.close()
}

/** Small, so that overload is quick to reach. */
const writesQueuedMax = 20
