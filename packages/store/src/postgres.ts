// For whoever starts a system: stores as schemas of a PostgreSQL database.
export { createPostgresStores, type PostgresStoresOptions } from './drivers/postgres/driver.ts'
export { defaultLimits, type PostgresLimits } from './drivers/postgres/limits.ts'
export { postgresDialect } from './drivers/postgres/statements.ts'
