// For whoever starts a system: the log in one SQLite file, with nothing else to install.

import { openDatabase, toAtollError } from '@atoll/sqlite'
import type { Host } from '@atoll/host'
import type { Log } from './driver.ts'
import { openEmbeddedLog } from './drivers/embedded/driver.ts'
import { defaultLimits, type EmbeddedLogLimits } from './drivers/embedded/limits.ts'
import { applicationId, formatVersion, tables } from './drivers/embedded/format.ts'
import { ThreadWriter } from './drivers/embedded/thread.ts'
import { DirectWriter } from './drivers/embedded/writer.ts'

export { defaultLimits, type EmbeddedLogLimits } from './drivers/embedded/limits.ts'

export interface EmbeddedLogOptions {
  /** Where the log lies; made if it is not there. `':memory:'` is a log for tests: it is gone when it is closed. */
  file: string
  host: Host
  /** Whether a thread of its own writes the file, so that nobody else waits for the disk. Default true; not for `':memory:'`. */
  thread?: boolean
  /** Only what differs from {@link defaultLimits}. */
  limits?: Partial<EmbeddedLogLimits>
}

/**
 * Opens a log in one SQLite file, which belongs to one process at a time (whoever holds the data folder). All services of that
 * process share it, and what they append in the same turn becomes durable by one fsync.
 *
 * Rejects with STORE_CORRUPT or STORE_NEWER, naming the file and leaving it as it is.
 */
export async function createEmbeddedLog(options: EmbeddedLogOptions): Promise<Log> {
  const { file, host, thread = file !== ':memory:' } = options
  const database = openDatabase(file, { applicationId, formatVersion })
  try {
    database.exec(tables)
    const writer = thread ? await ThreadWriter.start(file) : new DirectWriter(database, file)
    return openEmbeddedLog(database, writer, file, host, { ...defaultLimits, ...options.limits })
  } catch (error) {
    database.close()
    throw toAtollError(error, file)
  }
}
