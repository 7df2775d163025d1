// For whoever starts a system: stores as SQLite files, with nothing else to install.
export {
  createMemoryFolder,
  createSqliteStores,
  type MemoryFolder,
  type SqliteStoresOptions,
} from './drivers/sqlite/driver.ts'
export { defaultLimits, type SqliteLimits } from './drivers/sqlite/limits.ts'
export { sqliteDialect } from './drivers/sqlite/connection.ts'
