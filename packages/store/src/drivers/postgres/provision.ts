import { AtollError, type Host } from '@atoll/host'
import { quoteIdentifier, sqlStateOf, type Client } from '@atoll/postgres'
import { textOf, type Migrations } from '../../driver.ts'
import { assertOwnUntouched, isOfRuntime } from '../../own-tables.ts'
import { assertInOrder, assertUnchanged } from '../../refusals.ts'
import { examinePlace, type Found } from './found.ts'
import type { Place } from './names.ts'
import { meaningOf, meaningTokens, migrationStatements } from './sql.ts'

/** A store as it is once it has been made ready. */
export interface Provisioned {
  /** Whom sessions must act as; undefined if the user of the URL is the service's own role. */
  readonly role: string | undefined
  /** Its tables and views, without the runtime's own. */
  readonly tables: readonly string[]
  /** Its constraints that only a commit would check, as they stand in SQL; undefined if it has none. */
  readonly deferred: string | undefined
}

/**
 * Makes a store ready: its role and schema, if the user of the URL may make them, and the migrations that it lacks, all
 * in one transaction, one process at a time. Where nothing is lacking, it only looks.
 *
 * In production the user of the URL is better the service's own role, which can make nothing and reach nothing else;
 * then role and schema must be there.
 */
export async function provision(
  client: Client,
  place: Place,
  migrations: Migrations,
  host: Host,
): Promise<Provisioned> {
  const found = await examinePlace(client, place)
  try {
    if (found.isReady && mayActAsOwner(found, place) && (await lacking(client, place, migrations, host)).length === 0)
      return toProvisioned(found, place)
    return await provisionAlone(client, place, migrations, host)
  } catch (error) {
    throw sqlStateOf(error) === NOT_ALLOWED ? cannotOpen(found, place, error) : AtollError.from(error)
  }
}

async function provisionAlone(client: Client, place: Place, migrations: Migrations, host: Host): Promise<Provisioned> {
  await client.query('BEGIN')
  try {
    await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`atoll store ${place.schema}`])
    const found = await examinePlace(client, place) // others may have been at it
    await makePlace(client, found, place)
    if (found.user !== place.role) await client.query(`SET LOCAL ROLE ${quoteIdentifier(place.role)}`)
    await client.query(`SET LOCAL search_path = ${quoteIdentifier(place.schema)}`)
    await client.query(
      'CREATE TABLE IF NOT EXISTS atoll_migrations (name TEXT PRIMARY KEY, digest TEXT NOT NULL, applied_at BIGINT NOT NULL)',
    )
    // Whoever writes the store locks this table, which belongs to nobody else and holds nothing.
    await client.query('CREATE TABLE IF NOT EXISTS atoll_writer ()')
    await migrate(client, place, migrations, host)
    const { tables, deferred } = await examinePlace(client, place)
    // by now the session acts as the role
    const provisioned = toProvisioned({ user: found.user, tables, deferred }, place)
    await client.query('COMMIT')
    return provisioned
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined) // the first error is the one to tell
    throw error
  }
}

function toProvisioned(
  { user, tables, deferred }: Pick<Found, 'user' | 'tables' | 'deferred'>,
  { schema, role }: Place,
): Provisioned {
  const names = deferred.map((name) => `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`)
  return { role: user === role ? undefined : role, tables, deferred: names.length > 0 ? names.join(', ') : undefined }
}

function mayActAsOwner({ user, isMember }: Found, { role }: Place): boolean {
  return user === role || isMember
}

/** Makes role and schema, as far as they are missing and the user of the URL may. */
async function makePlace(client: Client, found: Found, place: Place): Promise<void> {
  const { user, mayMakeRoles, hasRole, hasSchema } = found
  const [schema, role] = [quoteIdentifier(place.schema), quoteIdentifier(place.role)]
  if (user !== place.role && mayMakeRoles) {
    if (!hasRole) await makeRole(client, role)
    if (!found.isSuperuser) await client.query(`GRANT ${role} TO CURRENT_USER`)
  } else if (!mayActAsOwner(found, place)) {
    throw cannotOpen(found, place)
  }
  if (!hasSchema) await client.query(`CREATE SCHEMA ${schema} AUTHORIZATION ${role}`)
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

const NOT_ALLOWED = '42501'

/** Says what an administrator must run, so that it can be copied. */
function cannotOpen({ user, hasRole, hasSchema, owner, isMember }: Found, place: Place, cause?: unknown): AtollError {
  const [schema, role] = [quoteIdentifier(place.schema), quoteIdentifier(place.role)]
  const orders: string[] = []
  if (!hasRole) orders.push(`CREATE ROLE ${role} LOGIN PASSWORD '…'`)
  if (!hasSchema) orders.push(`CREATE SCHEMA ${schema} AUTHORIZATION ${role}`)
  else if (owner !== place.role) orders.push(`ALTER SCHEMA ${schema} OWNER TO ${role}`)
  const isOwner = user === place.role || isMember
  if (!isOwner) orders.push(`GRANT ${role} TO ${quoteIdentifier(user)}`)
  const instead = isOwner ? '' : `. Or leave the GRANT out, and give the URL of ${place.role} to its service alone`
  const subject = `user ${user} may not open schema ${place.schema}, which belongs to role ${place.role}`
  return new AtollError(
    'UNAVAILABLE',
    `${subject}. Have an administrator run: ${orders.map((order) => `${order};`).join(' ')}${instead}`,
    cause === undefined ? {} : { cause },
  )
}

/**
 * The names of the migrations that were not applied. STORE_NEWER or MIGRATION_CHANGED if this code does not fit what
 * was.
 */
async function lacking(client: Client, { schema }: Place, migrations: Migrations, host: Host): Promise<string[]> {
  const { rows } = await client.query<{ name: string; digest: string }>(
    `SELECT name, digest FROM ${quoteIdentifier(schema)}.atoll_migrations`,
  )
  for (const { name, digest } of rows) {
    const migration = migrations[name]
    if (migration === undefined) {
      throw new AtollError(
        'STORE_NEWER',
        `schema ${schema} has had migration ${name}, which this code does not know. It was not touched: run the newer version`,
      )
    }
    assertUnchanged(`schema ${schema}`, name, host.digest(textOf(migration, 'postgres')), digest)
  }
  const applied = new Set(rows.map((row) => row.name))
  assertInOrder(`schema ${schema}`, Object.keys(migrations), applied)
  return Object.keys(migrations).filter((name) => !applied.has(name))
}

async function migrate(client: Client, place: Place, migrations: Migrations, host: Host): Promise<void> {
  const names = await lacking(client, place, migrations, host)
  // An older version may be writing: it would have rows in the tables that are to be changed, and each could wait for
  // the other.
  if (names.length > 0) await client.query('LOCK TABLE atoll_writer IN EXCLUSIVE MODE')
  for (const name of names) {
    const text = textOf(migrations[name]!, 'postgres') // the names are theirs
    await apply(client, place.schema, name, text)
    await client.query('INSERT INTO atoll_migrations (name, digest, applied_at) VALUES ($1, $2, $3)', [
      name,
      host.digest(text),
      host.now(),
    ])
  }
}

async function apply(client: Client, schema: string, name: string, text: string): Promise<void> {
  try {
    for (const statement of migrationStatements(text)) {
      if (!isOfRuntime(name)) assertOwnUntouched(statement, meaningTokens)
      assertForMigrations(statement)
      await client.query(statement)
    }
  } catch (error) {
    const failure = AtollError.from(error)
    if (failure.code !== 'INTERNAL' && failure.code !== 'UNSUPPORTED') throw failure
    throw new AtollError(
      'MIGRATION_FAILED',
      `migration ${name} of schema ${schema} failed and was undone: ${failure.reason}. Correct its SQL, and start again`,
      { cause: error },
    )
  }
}

function assertForMigrations(statement: string): void {
  const words = meaningOf(statement)
  const [order = ''] = words
  if (/^(ABORT|BEGIN|COMMIT|END|PREPARE|RELEASE|ROLLBACK|SAVEPOINT|START)$/.test(order))
    throw new Error(`take ${order} out of it: migrations run in one transaction`)
  const changesWho =
    (order === 'SET' || order === 'RESET' || order === 'DISCARD') &&
    words.some((word) => /^(ALL|AUTHORIZATION|ROLE|SEARCH_PATH)$/.test(word))
  if (changesWho || words.includes('SET_CONFIG'))
    throw new Error(`take ${order} out of it: migrations run as the role of their service, in its schema`)
}
