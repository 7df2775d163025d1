import { AtollError } from '@atoll/host'
import { copyOf, openCopy, openDatabase, type Database } from '@atoll/sqlite'
import { applicationId, formatVersion } from './format.ts'

/**
 * Where a log in memory lies. What is in it can be copied, and a copy put back for the next log that is opened in it.
 * For tests.
 */
export interface MemoryFile {
  /** What the log holds, to be kept beside it; undefined in the midst of a commit. LOG_CLOSED without a log. */
  copy(): Uint8Array | undefined
  /** What the next log that is opened in it begins with; undefined: with nothing. */
  replace(copy: Uint8Array | undefined): void
  /** Opens it, for the log. */
  open(): Database
}

/** An empty one. */
export function createMemoryFile(): MemoryFile {
  let begin: Uint8Array | undefined
  let opened: Database | undefined
  return {
    copy() {
      if (!opened?.open)
        throw new AtollError(
          'LOG_CLOSED',
          'a log in memory was to be copied, and none is open; copy it before it is closed',
        )
      return copyOf(opened)
    },
    replace: (copy) => void (begin = copy),
    open: () => (opened = begin ? openCopy(begin) : openDatabase(':memory:', { applicationId, formatVersion })),
  }
}

/** The database of a log, and how it is called in messages. */
export function openLogFile(file: string | MemoryFile): { database: Database; file: string } {
  if (typeof file !== 'string') return { database: file.open(), file: ':memory:' }
  return { database: openDatabase(file, { applicationId, formatVersion }), file }
}
