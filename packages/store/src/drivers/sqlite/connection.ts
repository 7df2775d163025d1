import { AtollError } from '@atoll/host'
import { toAtollError, type Database, type Statement as SqliteStatement } from '@atoll/sqlite'
import { SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely'
import type { DialectParts, Row, Statement, Value } from '../../driver.ts'
import { assertOwnUntouched } from '../../own-tables.ts'
import { notForServices } from '../../refusals.ts'
import { isSetting, meaningOf, tokenize, undoesAll } from './sql.ts'

/** How Kysely writes for SQLite. One object, because compiled statements are kept by it. */
export const sqliteDialect: DialectParts = {
  createAdapter: () => new SqliteAdapter(),
  createIntrospector: (db) => new SqliteIntrospector(db),
  createQueryCompiler: () => new SqliteQueryCompiler(),
}

/** What a caller means who gives no parameters. */
export const noParams: readonly Value[] = []

/**
 * One SQLite connection. SQLite runs in this process and answers at once, so everything here is synchronous; the
 * promises of the port are made by those who use it.
 */
export class Connection {
  readonly database: Database
  readonly file: string
  readonly #prepared = new WeakMap<Statement, Prepared>()

  constructor(database: Database, file: string) {
    this.database = database
    this.file = file
  }

  /** Prepares a statement, once. */
  prepare(statement: Statement): Prepared {
    let prepared = this.#prepared.get(statement)
    if (!prepared) this.#prepared.set(statement, (prepared = this.#make(statement)))
    return prepared
  }

  error(thrown: unknown): AtollError {
    return toAtollError(thrown, this.file)
  }

  #make({ sql, ofService }: Statement): Prepared {
    const meaning = meaningOf(sql)
    if (isSetting(meaning) || undoesAll(meaning)) throw notForServices(sql)
    if (ofService) assertOwnUntouched(sql, tokenize)
    const native = this.database.prepare(sql)
    // What neither answers nor changes rows begins or ends transactions, or reaches for another file.
    if (native.readonly && !native.reader) throw notForServices(sql)
    const writes = !native.readonly
    if (writes && native.reader) native.safeIntegers(true)
    return { native, answers: native.reader, writes }
  }
}

/** A prepared statement, and what is worth knowing of it without asking SQLite again. */
export interface Prepared {
  readonly native: SqliteStatement
  readonly answers: boolean
  readonly writes: boolean
}

/** The number of rows that it changed. */
export function runPrepared({ native, answers }: Prepared, params: readonly Value[]): number {
  if (!answers) return native.run(params).changes
  return native.all(params).length // it says RETURNING, and nobody asked what
}

/** The key of the row that it inserted. Asking with RETURNING would cost as much as the insert. */
export function insertPrepared({ native }: Prepared, params: readonly Value[]): number {
  return Number(native.run(params).lastInsertRowid)
}

export function runPreparedEach(prepared: Prepared, rows: readonly (readonly Value[])[]): void {
  for (const row of rows) runPrepared(prepared, row)
}

export function getPrepared({ native, answers, writes }: Prepared, params: readonly Value[]): unknown {
  if (!answers) return void native.run(params)
  const row = native.get(params)
  if (row === undefined) return undefined
  if (writes) return exactly(row)
  return isRounded(row) ? readExactly(native, () => exactly(native.get(params))) : row
}

export function allPrepared({ native, answers, writes }: Prepared, params: readonly Value[]): unknown[] {
  if (!answers) {
    native.run(params)
    return []
  }
  const rows = native.all(params)
  if (writes) return rows.map(exactly)
  return rows.some(isRounded) ? readExactly(native, () => native.all(params).map(exactly)) : rows
}

// The library makes a number of every integer, rounded where it is beyond 2^53, or a bigint of every one, which is
// slow. So what is read is read again where a number might be a rounded integer; and what a write returns, which cannot
// be asked for again, is asked for in bigints at once.

function isRounded(row: unknown): boolean {
  const values = row as Row // of columns by their names
  for (const column in values) {
    const value = values[column]
    if (typeof value === 'number' && (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER)) return true
  }
  return false
}

function readExactly<T>(native: SqliteStatement, read: () => T): T {
  native.safeIntegers(true)
  try {
    return read()
  } finally {
    native.safeIntegers(false)
  }
}

/** Integers as numbers where those are exact. */
function exactly(row: unknown): unknown {
  const values = row as Row // of columns by their names
  for (const column in values) {
    const value = values[column]
    if (typeof value === 'bigint' && value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER)
      values[column] = Number(value)
  }
  return values
}
