import { AtollError } from '@atoll/host'
import type { Migrations } from './driver.ts'
import { isOfRuntime } from './own-tables.ts'

/** The tables of a store, declared: their types for the handlers and the migrations that make them. Names no driver. */
export interface StoreDefinition<Tables> {
  readonly migrations: Migrations
  /** Only for the compiler: carries the type of the tables. Never set. */
  readonly tables?: Tables
}

/**
 * Declares a store with SQL tables: `sqlStore<Tables>({ migrations: { '0001-orders': 'CREATE TABLE …' } })`.
 * DEFINITION_INVALID for a migration that is no text: a query that was built, say, which nothing would execute; and for
 * one with a name of the runtime's, `atoll-…`.
 */
export function sqlStore<Tables>(options: { migrations: Migrations }): StoreDefinition<Tables> {
  for (const [name, migration] of Object.entries(options.migrations)) assertText(name, migration)
  return { migrations: options.migrations }
}

function assertText(name: string, migration: unknown): void {
  if (isOfRuntime(name))
    throw new AtollError(
      'DEFINITION_INVALID',
      `migration '${name}' is called as those of the runtime are, which begin with atoll-; give it another name`,
    )
  if (typeof migration === 'string') return
  // whatever it is, these are looked at below
  const { sqlite, postgres } = (migration ?? {}) as { sqlite?: unknown; postgres?: unknown }
  if (typeof sqlite === 'string' && typeof postgres === 'string') return
  throw new AtollError(
    'DEFINITION_INVALID',
    `migration '${name}' is neither SQL nor a text for each engine; write 'CREATE TABLE …', or { sqlite: '…', postgres: '…' }. A query that was built, and a promise, would change nothing`,
  )
}
