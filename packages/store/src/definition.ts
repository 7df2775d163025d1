import type { Migrations } from './driver.ts'

/** The tables of a store, declared: their types for the handlers and the migrations that make them. Names no driver. */
export interface StoreDefinition<Tables> {
  readonly migrations: Migrations
  /** Only for the compiler: carries the type of the tables. Never set. */
  readonly tables?: Tables
}

/** Declares a store with SQL tables: `sqlStore<Tables>({ migrations: { '0001-orders': 'CREATE TABLE …' } })`. */
export function sqlStore<Tables>(options: { migrations: Migrations }): StoreDefinition<Tables> {
  return { migrations: options.migrations }
}
