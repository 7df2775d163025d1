// For whoever starts a system: the log in a PostgreSQL database, which many processes share.

import { silentLogger, type Host, type Logger } from '@atoll/host'
import type { Log } from './driver.ts'
import { openPostgresLog } from './drivers/postgres/driver.ts'
import { defaultLimits, type PostgresLogLimits } from './drivers/postgres/limits.ts'
import { assertSystemName } from './drivers/shared/checks.ts'

export { defaultLimits, type PostgresLogLimits } from './drivers/postgres/limits.ts'

export interface PostgresLogOptions {
  /** `postgres://user:password@host:port/database`, of the primary. */
  url: string
  /** The system whose log it is; it lies in the schema `atoll_log_<system>`, made if it is not there. */
  system: string
  host: Host
  /** Is told once when the server cannot be reached, and when it can again. Default: nobody is. */
  logger?: Logger
  /** Only what differs from {@link defaultLimits}. */
  limits?: Partial<PostgresLogLimits>
}

/**
 * Opens the log of a system in a PostgreSQL database. Any number of processes may do so at the same time. All that one
 * of them appends in the same turn, or while a commit is under way, becomes durable by one statement.
 *
 * Resolves also if the server cannot be reached. Calls then reject with UNAVAILABLE, at once, until it can. Rejects
 * with INVALID for a URL or a name that is none, and with STORE_NEWER for a log of a newer version.
 */
export async function createPostgresLog({
  url,
  system,
  host,
  logger = silentLogger,
  limits,
}: PostgresLogOptions): Promise<Log> {
  assertSystemName(system)
  return openPostgresLog(url, system, host, logger, { ...defaultLimits, ...limits })
}
