import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { AtollError, isSoundError } from '@atoll/host'
import BetterSqlite3 from 'better-sqlite3'

/**
 * What SQLite said, as an AtollError that names the file; anything that SQLite did not say stays as it is, or becomes
 * INTERNAL.
 */
export function toAtollError(error: unknown, file: string): AtollError {
  if (isOutOfSpace(error)) return full(file, error)
  if (!isSoundError(error) || !(error instanceof BetterSqlite3.SqliteError)) return AtollError.from(error)
  const { code, message } = error
  if (code === 'SQLITE_FULL') return full(file, error)
  if (code === 'SQLITE_CORRUPT_VTAB') return atOdds(file, error)
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') return corrupt(file, message, error)
  if (code.startsWith('SQLITE_IOERR')) return hasRoom(file) ? unavailable(file, error) : full(file, error)
  if (unavailableCodes.test(code)) return unavailable(file, error)
  return AtollError.from(error)
}

export function corrupt(file: string, why: string, cause?: unknown): AtollError {
  return new AtollError(
    'STORE_CORRUPT',
    `${file} is damaged (${why}). It was not touched: keep a copy, and restore the folder from a backup (stores and log of one moment belong together)`,
    { cause },
  )
}

/**
 * A virtual table says so of itself: most often a search index with external content, whose rows were changed without
 * it. The file is in order.
 */
function atOdds(file: string, cause: Error): AtollError {
  return new AtollError(
    'INTERNAL',
    `a virtual table in ${file} is at odds with its content (${cause.message}); if it is an index of FTS5, fill it anew with its 'rebuild' command, and keep it up with triggers`,
    { cause },
  )
}

function full(file: string, cause: unknown): AtollError {
  return new AtollError(
    'STORE_FULL',
    `${file} cannot grow: the disk is full. Nothing that was acknowledged is lost; make room, and writing resumes`,
    { cause },
  )
}

function unavailable(file: string, cause: Error): AtollError {
  return new AtollError('UNAVAILABLE', `${file} cannot be read or written now: ${cause.message}`, { cause })
}

const unavailableCodes = /^SQLITE_(CANTOPEN|READONLY|BUSY|LOCKED|PROTOCOL|NOLFS|PERM)/

/** Whether the operating system says that there is no room, on the disk or for this account. */
export function isOutOfSpace(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}

/** SQLite reports some full disks as errors of input and output: where its shared memory could not grow, for one. */
function hasRoom(file: string): boolean {
  try {
    return statfsSync(dirname(file)).bavail > 0
  } catch {
    return true // the folder is gone, too: that is not for want of room
  }
}
