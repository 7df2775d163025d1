import { AtollError } from '@atoll/host'
import type { Kysely, Selectable } from 'kysely'

/** What {@link changeVersion} changes. */
export interface VersionChange<Row> {
  /** Columns that name the row. */
  key: Partial<Row>
  /** The version that the change was made from, as the client sent it; undefined changes whatever version is there. */
  expected: string | number | undefined
  /** Columns to change; `version` rises by one by itself. */
  set: Partial<Row>
}

/**
 * Optimistic concurrency: changes one row of a table with a `version` column, if it is still at the expected version, and resolves with
 * the changed row. NOT_FOUND if there is no such row; PRECONDITION_FAILED, with the present version in its details, if somebody was
 * faster. Use it inside `tx`, with `ifMatch` as `expected`.
 */
export async function changeVersion<Tables, Table extends keyof Tables & string>(
  db: Kysely<Tables>,
  table: Table,
  change: VersionChange<Selectable<Tables[Table]>>,
): Promise<Selectable<Tables[Table]>> {
  // Kysely cannot follow column names through a table that is a type parameter; the signature above has checked them.
  const rows = db as unknown as Kysely<{ rows: Record<string, unknown> }>
  const name = table as unknown as 'rows'
  let select = rows.selectFrom(name).select('version')
  let update = rows.updateTable(name)
  for (const [column, value] of Object.entries(change.key)) {
    select = select.where(column, '=', value)
    update = update.where(column, '=', value)
  }
  const found = await select.executeTakeFirst()
  if (!found) throw new AtollError('NOT_FOUND', `${table} not found`, { details: { what: table } })
  const version = Number(found['version'])
  if (change.expected !== undefined && String(change.expected) !== String(version)) throw stale(table, version)
  const updated = await update.where('version', '=', version).set({ ...change.set, version: version + 1 }).returningAll().executeTakeFirst()
  if (!updated) throw stale(table, version)
  return updated as Selectable<Tables[Table]>
}

function stale(table: string, version: number): AtollError {
  return new AtollError('PRECONDITION_FAILED', `${table} is at version ${version} by now; read it, apply the change to that, and send it again`, { details: { version } })
}
