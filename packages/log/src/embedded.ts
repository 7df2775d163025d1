// For whoever starts a system: the log in one SQLite file, with nothing else to install.

import { toAtollError } from '@atoll/sqlite'
import type { Host } from '@atoll/host'
import type { Log } from './driver.ts'
import { openEmbeddedLog } from './drivers/embedded/driver.ts'
import { defaultLimits, type EmbeddedLogLimits } from './drivers/embedded/limits.ts'
import { tables } from './drivers/embedded/format.ts'
import { openLogFile, type MemoryFile } from './drivers/embedded/file.ts'
import { ThreadWriter } from './drivers/embedded/thread.ts'
import { DirectWriter } from './drivers/embedded/writer.ts'

export { createMemoryFile, type MemoryFile } from './drivers/embedded/file.ts'
export { defaultLimits, type EmbeddedLogLimits } from './drivers/embedded/limits.ts'

export interface EmbeddedLogOptions {
  /**
   * Where the log lies; made if it is not there. For tests there are two kinds of logs without a file: of `':memory:'`,
   * gone when they are closed; and of {@link createMemoryFile}, which can be copied and put back.
   */
  file: string | MemoryFile
  host: Host
  /**
   * Whether a thread of its own writes the file, so that nobody else waits for the disk. Default true; not for logs
   * without a file.
   */
  thread?: boolean
  /** Only what differs from {@link defaultLimits}. */
  limits?: Partial<EmbeddedLogLimits>
}

/**
 * Opens a log in one SQLite file, which belongs to one process at a time (whoever holds the data folder). All services
 * of that process share it, and what they append in the same turn becomes durable by one fsync.
 *
 * Rejects with STORE_CORRUPT or STORE_NEWER, naming the file and leaving it as it is.
 */
export async function createEmbeddedLog(options: EmbeddedLogOptions): Promise<Log> {
  const { host } = options
  const { database, file } = openLogFile(options.file)
  const { thread = file !== ':memory:' } = options
  try {
    database.exec(tables)
    const writer = thread ? await ThreadWriter.start(file) : new DirectWriter(database, file)
    return openEmbeddedLog(database, writer, file, host, { ...defaultLimits, ...options.limits })
  } catch (error) {
    database.close()
    throw toAtollError(error, file)
  }
}
