import { AtollError } from '@atoll/host'
import { sql, type Kysely, type Selectable } from 'kysely'

/** What {@link changeVersion} changes. */
export interface VersionChange<Row> {
  /** Columns that name the row. */
  key: Partial<Row>
  /**
   * The version that the change was made from, as the client sent it; undefined and `*` change whatever version is
   * there.
   */
  expected: string | number | undefined
  /** Columns to change; `version` rises by one by itself. */
  set: Partial<Omit<Row, 'version'>>
}

/** The tables that have a `version` column. */
export type Versioned<Tables> = {
  [Table in keyof Tables]: Tables[Table] extends { version: unknown } ? Table : never
}[keyof Tables] &
  string

/**
 * Optimistic concurrency: changes one row of a table with a `version` column, if it is still at the expected version,
 * and resolves with the changed row. NOT_FOUND if there is no such row; PRECONDITION_FAILED, with the present version
 * in its details, if somebody was faster. Use it inside `tx`, with `ifMatch` as `expected`.
 */
export async function changeVersion<Tables, Table extends Versioned<Tables>>(
  db: Kysely<Tables>,
  table: Table,
  change: VersionChange<Selectable<Tables[Table]>>,
): Promise<Selectable<Tables[Table]>> {
  // Kysely cannot follow column names through a table that is a type parameter; the signature above has checked them.
  const rows = db as unknown as Kysely<{ rows: Record<string, unknown> }>
  const name = table as unknown as 'rows'
  const expected = change.expected === undefined || change.expected === '*' ? undefined : toVersion(change.expected)
  if (expected !== null) {
    let update = rows.updateTable(name).set({ ...change.set, version: sql`version + 1` })
    for (const [column, value] of Object.entries(change.key)) update = update.where(column, '=', value)
    if (expected !== undefined) update = update.where('version', '=', expected)
    const updated = await update.returningAll().executeTakeFirst()
    if (updated) return updated as Selectable<Tables[Table]>
  }
  let select = rows.selectFrom(name).select('version')
  for (const [column, value] of Object.entries(change.key)) select = select.where(column, '=', value)
  const found = await select.executeTakeFirst()
  if (!found) throw new AtollError('NOT_FOUND', `${table} not found`, { details: { what: table } })
  const version = Number(found['version'])
  throw new AtollError(
    'PRECONDITION_FAILED',
    `${table} is at version ${version} by now; read it, apply the change to that, and send it again`,
    {
      details: { version },
    },
  )
}

/** The number that a client's text stands for; null if it is none, for then no version is the one that it means. */
function toVersion(expected: string | number): number | null {
  return /^\d{1,15}$/.test(String(expected)) ? Number(expected) : null
}
