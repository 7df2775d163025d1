import { AtollError } from '@atoll/host'
import BetterSqlite3 from 'better-sqlite3'

/** What SQLite said, as an AtollError that names the file; anything that SQLite did not say stays as it is, or becomes INTERNAL. */
export function toAtollError(error: unknown, file: string): AtollError {
  if (!(error instanceof BetterSqlite3.SqliteError)) return AtollError.from(error)
  const { code, message } = error
  if (code === 'SQLITE_FULL' || /no space left/i.test(message)) {
    return new AtollError('STORE_FULL', `${file} cannot grow: the disk is full. Nothing that was acknowledged is lost; make room, and writing resumes`, { cause: error })
  }
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') return corrupt(file, message, error)
  if (code.startsWith('SQLITE_IOERR') || code === 'SQLITE_CANTOPEN' || code === 'SQLITE_READONLY' || code.startsWith('SQLITE_BUSY')) {
    return new AtollError('UNAVAILABLE', `${file} cannot be read or written now: ${message}`, { cause: error })
  }
  return AtollError.from(error)
}

export function corrupt(file: string, why: string, cause?: unknown): AtollError {
  return new AtollError('STORE_CORRUPT', `${file} is damaged (${why}). It was not touched: keep a copy, and restore it from a backup`, { cause })
}
