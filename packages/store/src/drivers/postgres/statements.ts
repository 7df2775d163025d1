import { quoteIdentifier } from '@atoll/postgres'
import { PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely'
import type { DialectParts, InsertStatement, Statement, Value } from '../../driver.ts'
import { notForServices } from '../../refusals.ts'
import { numberParameters } from './sql.ts'

/** How Kysely writes for PostgreSQL. One object, because compiled statements are kept by it. */
export const postgresDialect: DialectParts = {
  createAdapter: () => new PostgresAdapter(),
  createIntrospector: (db) => new PostgresIntrospector(db),
  createQueryCompiler: () => new PostgresQueryCompiler(),
}

/** What a caller means who gives no parameters. */
export const noParams: readonly Value[] = []

/** What begins, ends or undoes transactions, changes who asks or what for, or leaves something behind in the connection. */
const refused = /^\s*(begin|start|commit|end|rollback|abort|savepoint|release|prepare|deallocate|set|reset|discard|lock|listen|unlisten|notify|copy|vacuum|declare|fetch|close|grant|revoke|create\s+(role|user|database|schema))\b/i

const texts = new WeakMap<Statement, string>()

/** The text of a statement for PostgreSQL, made once. Throws UNSUPPORTED for what is not for services. */
export function textOf(statement: Statement): string {
  let text = texts.get(statement)
  if (text === undefined) {
    if (refused.test(statement.sql)) throw notForServices(statement.sql)
    texts.set(statement, (text = numberParameters(statement.sql)))
  }
  return text
}

const insertTexts = new WeakMap<InsertStatement, string>()

/** The same, answering the key that the store gave. */
export function insertTextOf(statement: InsertStatement): string {
  let text = insertTexts.get(statement)
  if (text === undefined) insertTexts.set(statement, (text = `${textOf(statement)} RETURNING ${quoteIdentifier(statement.key)} AS key`))
  return text
}
