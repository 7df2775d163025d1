// For Atoll's own drivers that keep their data in SQLite files.
export {
  copyOf,
  leaveBehind,
  openCopy,
  openDatabase,
  type Database,
  type DatabaseOptions,
  type Statement,
} from './database.ts'
export {
  assertIdle,
  copyDataFolder,
  findDataFolder,
  isWritableFolder,
  openDataFolder,
  type DataFolder,
} from './data-folder.ts'
export { examineSqlite } from './examine.ts'
export { isAtollDatabase, ownFile, type OwnFile } from './ours.ts'
export { toAtollError } from './errors.ts'
export { FOLDER_MODE, writePrivately } from './private.ts'
