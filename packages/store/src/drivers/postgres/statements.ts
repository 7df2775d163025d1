import { quoteIdentifier } from '@atoll/postgres'
import { PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely'
import type { DialectParts, InsertStatement, Statement, Value } from '../../driver.ts'
import { assertOwnUntouched } from '../../own-tables.ts'
import { notForServices } from '../../refusals.ts'
import { meaningOf, meaningTokens, numberParameters } from './sql.ts'

/** How Kysely writes for PostgreSQL. One object, because compiled statements are kept by it. */
export const postgresDialect: DialectParts = {
  createAdapter: () => new PostgresAdapter(),
  createIntrospector: (db) => new PostgresIntrospector(db),
  createQueryCompiler: () => new PostgresQueryCompiler(),
}

/** What a caller means who gives no parameters. */
export const noParams: readonly Value[] = []

/**
 * What a statement begins with that begins, ends or undoes transactions, changes who asks or what for, runs what cannot
 * be seen, or leaves something behind in the connection.
 */
const refusedOrders = new Set(
  `ABORT BEGIN CALL CHECKPOINT CLOSE CLUSTER COMMIT COPY DEALLOCATE DECLARE DISCARD DO END EXECUTE FETCH GRANT LISTEN LOAD LOCK MOVE NOTIFY PREPARE
   REASSIGN REINDEX RELEASE RESET REVOKE ROLLBACK SAVEPOINT SECURITY SET START UNLISTEN VACUUM`.split(/\s+/),
)
/**
 * What is not to be made, changed or dropped: what is the server's, and what would be another thing on the next
 * connection.
 */
const refusedThings = new Set(
  'DATABASE EXTENSION GLOBAL GROUP LOCAL ROLE SCHEMA SYSTEM TABLESPACE TEMP TEMPORARY USER'.split(' '),
)
/** Functions that do the same: settings, and locks that outlive their transaction. */
const refusedFunction = /^(SET_CONFIG|PG_(TRY_)?ADVISORY_(UN)?LOCK(_ALL|_SHARED)?)$/

function isForServices(sql: string): boolean {
  const [order = '', thing = '', ...more] = meaningOf(sql).filter((word) => word !== '(' && word !== ';')
  if (refusedOrders.has(order)) return false
  if ((order === 'CREATE' || order === 'ALTER' || order === 'DROP') && refusedThings.has(thing)) return false
  return ![thing, ...more].some((word) => refusedFunction.test(word))
}

const texts = new WeakMap<Statement, string>()

/**
 * The text of a statement for PostgreSQL, made once. Throws UNSUPPORTED for what is not for services, and for what is
 * not for this one.
 */
export function textOf(statement: Statement): string {
  let text = texts.get(statement)
  if (text === undefined) {
    if (!isForServices(statement.sql)) throw notForServices(statement.sql)
    if (statement.ofService) assertOwnUntouched(statement.sql, meaningTokens)
    texts.set(statement, (text = numberParameters(statement.sql)))
  }
  return text
}

const insertTexts = new WeakMap<InsertStatement, string>()

/** The same, answering the key that the store gave. */
export function insertTextOf(statement: InsertStatement): string {
  let text = insertTexts.get(statement)
  if (text === undefined)
    insertTexts.set(statement, (text = `${textOf(statement)} RETURNING ${quoteIdentifier(statement.key)} AS key`))
  return text
}
