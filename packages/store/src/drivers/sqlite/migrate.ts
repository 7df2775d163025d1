import { AtollError, type Host } from '@atoll/host'
import { toAtollError, type Database } from '@atoll/sqlite'
import { textOf, type Migrations } from '../../driver.ts'
import { assertOwnUntouched, isOfRuntime } from '../../own-tables.ts'
import { assertInOrder, assertUnchanged } from '../../refusals.ts'
import { meaningOf, tokenize, undoesAll } from './sql.ts'

/** Refuses a store whose migrations are not what this code has, or had. Only looks. */
export function checkMigrations(database: Database, file: string, migrations: Migrations, host: Host): void {
  const applied = appliedTo(database)
  for (const [name, digest] of applied) {
    const migration = migrations[name]
    if (migration === undefined) {
      throw new AtollError(
        'STORE_NEWER',
        `${file} has had migration ${name}, which this code does not know. It was not touched: run the newer version`,
      )
    }
    assertUnchanged(file, name, host.digest(textOf(migration, 'sqlite')), digest)
  }
  assertInOrder(file, Object.keys(migrations), applied)
}

/** Applies the migrations that a store lacks, all in one transaction. */
export function migrate(database: Database, file: string, migrations: Migrations, host: Host): void {
  const applied = appliedTo(database)
  const missing = Object.entries(migrations).filter(([name]) => !applied.has(name))
  if (missing.length === 0) return assertUndoesRowsAlone(database, file)
  database.exec('BEGIN IMMEDIATE')
  try {
    database.exec(
      'CREATE TABLE IF NOT EXISTS atoll_migrations (name TEXT PRIMARY KEY, digest TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT',
    )
    const note = database.prepare('INSERT INTO atoll_migrations (name, digest, applied_at) VALUES (?, ?, ?)')
    for (const [name, migration] of missing) {
      const sql = textOf(migration, 'sqlite')
      apply(database, file, name, sql)
      note.run(name, host.digest(sql), host.now())
    }
    assertUndoesRowsAlone(database, file)
    database.exec('COMMIT')
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK')
    throw toAtollError(error, file)
  }
}

/**
 * Refuses tables and triggers that undo the whole transaction over one row: with it would go the works of others that
 * share the commit, and nobody could tell whose doing it was. Judged by what is there once all migrations have run, so
 * that a new one mends what an old one made.
 */
function assertUndoesRowsAlone(database: Database, file: string): void {
  const things = database.prepare('SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL').all() as {
    type: string
    name: string
    sql: string
  }[] // all columns are text
  const thing = things.find(({ sql }) => undoesAll(meaningOf(sql)))
  if (thing === undefined) return
  throw new AtollError(
    'MIGRATION_FAILED',
    `${thing.type} ${thing.name} in ${file} says ROLLBACK for a row that does not fit, which would undo the works of others that share the commit. Say ABORT instead, or leave it out of ON CONFLICT. Where a migration that was released says so, leave that as it is, and write a new one: ${remedyFor(database, thing)}`,
  )
}

function remedyFor(database: Database, { type, name }: { readonly type: string; readonly name: string }): string {
  if (type === 'trigger') return `DROP TRIGGER ${quote(name)}; and the trigger anew, with ABORT`
  const changed = changedWith(database, name)
  const tables = [name, ...changed]
  const keptOf = (table: string): string => quote(table === name ? 'kept' : `kept_${table}`)
  const triggers = triggersOn(database, changed)
  // All are emptied before any is filled: whatever refers to whatever, no deletion then reaches a row that was put
  // back. Their triggers would tell of rows that neither come nor go.
  const steps = [
    'PRAGMA defer_foreign_keys = ON',
    ...tables.map((table) => `CREATE TABLE ${keptOf(table)} AS SELECT * FROM ${quote(table)}`),
    ...triggers.map((trigger) => `DROP TRIGGER ${quote(trigger.name)}`),
    ...changed.map((table) => `DELETE FROM ${quote(table)}`),
    `DROP TABLE ${quote(name)}`,
    'the table anew, without ROLLBACK, with its indexes',
    ...tables.map((table) => `INSERT INTO ${quote(table)} SELECT * FROM ${keptOf(table)}`),
    ...tables.map((table) => `DROP TABLE ${keptOf(table)}`),
    ...triggers.map((trigger) => trigger.sql),
  ]
  const why =
    changed.length > 0
      ? ` (rows of ${changed.join(', ')} may go with those of ${name}, or forget them: ON DELETE, ON UPDATE)`
      : ''
  return `${steps.join('; ')}; the triggers of the table anew${why}. It is applied before this is judged; "After an upgrade" in docs/operating/data.md says more`
}

/**
 * The tables whose rows SQLite deletes or changes when those of `name` go, as DROP TABLE has them go. RESTRICT does
 * nothing while foreign keys are deferred.
 */
function changedWith(database: Database, name: string): readonly string[] {
  // ON UPDATE too: SET NULL changes a key, and others may follow that.
  const referring = database.prepare(`SELECT m.name FROM sqlite_schema AS m JOIN pragma_foreign_key_list(m.name) AS f
    WHERE m.type = 'table' AND f."table" = ? COLLATE NOCASE AND (f.on_delete NOT IN ('NO ACTION', 'RESTRICT') OR f.on_update NOT IN ('NO ACTION', 'RESTRICT'))`)
  const found = new Set([name])
  // the column that is asked for; a set is walked through to those that were added meanwhile
  for (const one of found) for (const row of referring.all(one) as { name: string }[]) found.add(row.name)
  return [...found].slice(1)
}

function triggersOn(
  database: Database,
  tables: readonly string[],
): readonly { readonly name: string; readonly sql: string }[] {
  const triggers = database.prepare(
    `SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name IN (SELECT value FROM json_each(?)) ORDER BY rowid`,
  )
  return triggers.all(JSON.stringify(tables)) as { name: string; sql: string }[] // both are text, for triggers
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function appliedTo(database: Database): Map<string, string> {
  const hasTable = database.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'atoll_migrations'`).get() !== undefined
  if (!hasTable) return new Map()
  // the table made below
  const rows = database.prepare('SELECT name, digest FROM atoll_migrations').all() as { name: string; digest: string }[]
  return new Map(rows.map((row) => [row.name, row.digest]))
}

function apply(database: Database, file: string, name: string, sql: string): void {
  try {
    if (!isOfRuntime(name)) assertOwnUntouched(sql, tokenize)
    database.exec(sql)
  } catch (error) {
    const failure = toAtollError(error, file)
    if (failure.code === 'STORE_FULL') throw failure
    throw new AtollError(
      'MIGRATION_FAILED',
      `migration ${name} of ${file} failed and was undone: ${failure.reason}. Correct its SQL, and start again`,
      { cause: error },
    )
  }
  if (!database.inTransaction) {
    throw new AtollError(
      'MIGRATION_FAILED',
      `migration ${name} of ${file} ended the transaction in which migrations run; take COMMIT, END and ROLLBACK out of it`,
    )
  }
}
