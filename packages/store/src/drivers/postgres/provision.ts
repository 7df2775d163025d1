import { AtollError, type Host } from '@atoll/host'
import { quoteIdentifier, sqlStateOf, type Client } from '@atoll/postgres'
import { textOf, type Migrations } from '../../driver.ts'
import type { Place } from './names.ts'
import { migrationStatements } from './sql.ts'

/** A store as it is once it has been made ready. */
export interface Provisioned {
  /** Whom sessions must act as; undefined if the user of the URL is the service's own role. */
  readonly role: string | undefined
  /** Its tables and views, without the runtime's own. */
  readonly tables: readonly string[]
  /** Whether it has constraints that only a commit would check. */
  readonly checksAtCommit: boolean
}

/**
 * Makes a store ready, all in one transaction, one process at a time: its role and schema, if the user of the URL may make them, and the
 * migrations that it lacks.
 *
 * In production the user of the URL is better the service's own role, which can make nothing and reach nothing else; then role and schema
 * must be there.
 */
export async function provision(client: Client, place: Place, migrations: Migrations, host: Host): Promise<Provisioned> {
  await client.query('BEGIN')
  try {
    await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`atoll store ${place.schema}`])
    const role = await makeSchema(client, place)
    if (role !== undefined) await client.query(`SET LOCAL ROLE ${quoteIdentifier(role)}`)
    await client.query(`SET LOCAL search_path = ${quoteIdentifier(place.schema)}`)
    await migrate(client, place, migrations, host)
    const provisioned = { role, tables: await tablesIn(client, place), checksAtCommit: await checksAtCommit(client, place) }
    await client.query('COMMIT')
    return provisioned
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined) // the first error is the one to tell
    throw AtollError.from(error)
  }
}

/** Resolves with the role to take on. */
async function makeSchema(client: Client, { schema, role }: Place): Promise<string | undefined> {
  const { rows } = await client.query<{ user: string; may_make_roles: boolean; has_role: boolean; has_schema: boolean }>(
    `SELECT current_user AS user, rolsuper OR rolcreaterole AS may_make_roles,
       EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1) AS has_role, EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $2) AS has_schema
     FROM pg_roles WHERE rolname = current_user`,
    [role, schema],
  )
  const { user, may_make_roles: mayMakeRoles, has_role: hasRole, has_schema: hasSchema } = rows[0]! // there is one for whoever asks
  const owner = quoteIdentifier(role)
  if (mayMakeRoles && user !== role) {
    if (!hasRole) await makeRole(client, owner)
    await client.query(`GRANT ${owner} TO CURRENT_USER`)
    if (!hasSchema) await client.query(`CREATE SCHEMA ${quoteIdentifier(schema)} AUTHORIZATION ${owner}`)
    return role
  }
  if (!hasSchema && user !== role) throw cannotMake(user, schema, role)
  if (!hasSchema) {
    await client.query(`CREATE SCHEMA ${quoteIdentifier(schema)}`).catch((error: unknown) => {
      throw sqlStateOf(error) === '42501' ? cannotMake(user, schema, role) : error
    })
  }
  return undefined
}

/** Roles belong to the server, and the lock to a database: another one may be making the same this moment. */
async function makeRole(client: Client, role: string): Promise<void> {
  await client.query('SAVEPOINT role')
  try {
    await client.query(`CREATE ROLE ${role} NOLOGIN`)
  } catch (error) {
    const state = sqlStateOf(error)
    if (state !== '42710' && state !== '23505') throw error
    await client.query('ROLLBACK TO SAVEPOINT role')
  }
}

function cannotMake(user: string, schema: string, role: string): AtollError {
  const orders = `CREATE ROLE ${quoteIdentifier(role)} LOGIN PASSWORD '…'; CREATE SCHEMA ${quoteIdentifier(schema)} AUTHORIZATION ${quoteIdentifier(role)}`
  return new AtollError('UNAVAILABLE', `schema ${schema} is not there, and ${user} may not make it. Have an administrator run: ${orders}`)
}

async function migrate(client: Client, { schema }: Place, migrations: Migrations, host: Host): Promise<void> {
  await client.query('CREATE TABLE IF NOT EXISTS atoll_migrations (name TEXT PRIMARY KEY, digest TEXT NOT NULL, applied_at BIGINT NOT NULL)')
  // Whoever writes the store locks this table, which belongs to nobody else and holds nothing.
  await client.query('CREATE TABLE IF NOT EXISTS atoll_writer ()')
  const { rows } = await client.query<{ name: string; digest: string }>('SELECT name, digest FROM atoll_migrations')
  for (const { name, digest } of rows) {
    const migration = migrations[name]
    if (migration === undefined) {
      throw new AtollError('STORE_NEWER', `schema ${schema} has had migration ${name}, which this code does not know. It was not touched: run the newer version`)
    }
    if (host.digest(textOf(migration, 'postgres')) !== digest) {
      throw new AtollError('MIGRATION_CHANGED', `migration ${name} differs from what was applied to schema ${schema}; restore it, and put the change into a new migration`)
    }
  }
  const applied = new Set(rows.map((row) => row.name))
  for (const [name, migration] of Object.entries(migrations)) {
    if (applied.has(name)) continue
    const text = textOf(migration, 'postgres')
    await apply(client, schema, name, text)
    await client.query('INSERT INTO atoll_migrations (name, digest, applied_at) VALUES ($1, $2, $3)', [name, host.digest(text), host.now()])
  }
}

async function apply(client: Client, schema: string, name: string, text: string): Promise<void> {
  try {
    for (const statement of migrationStatements(text)) {
      if (/^\s*(begin|start|commit|end|rollback|abort)\b/i.test(statement)) throw new Error('take BEGIN, COMMIT, END and ROLLBACK out of it: migrations run in one transaction')
      await client.query(statement)
    }
  } catch (error) {
    const failure = AtollError.from(error)
    if (failure.code !== 'INTERNAL' && failure.code !== 'UNSUPPORTED') throw failure
    throw new AtollError('MIGRATION_FAILED', `migration ${name} of schema ${schema} failed and was undone: ${failure.reason}`, { cause: error })
  }
}

async function tablesIn(client: Client, { schema }: Place): Promise<string[]> {
  const { rows } = await client.query<{ relname: string }>(
    `SELECT relname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = $1 AND relkind IN ('r', 'p', 'v', 'm', 'f') AND relname NOT LIKE 'atoll\\_%'`,
    [schema],
  )
  return rows.map((row) => row.relname)
}

async function checksAtCommit(client: Client, { schema }: Place): Promise<boolean> {
  const { rows } = await client.query('SELECT 1 AS one FROM pg_constraint JOIN pg_namespace ON pg_namespace.oid = connamespace WHERE nspname = $1 AND condeferrable LIMIT 1', [schema])
  return rows.length > 0
}
