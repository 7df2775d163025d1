// For Atoll's own drivers that keep their data in SQLite files.
export { copyOf, leaveBehind, openCopy, openDatabase, type Database, type DatabaseOptions, type Statement } from './database.ts'
export { openDataFolder, type DataFolder } from './data-folder.ts'
export { examineSqlite } from './examine.ts'
export { isAtollDatabase } from './ours.ts'
export { toAtollError } from './errors.ts'
