// For whoever starts a system: the log on Redis streams.

import { silentLogger, type Host, type Logger } from '@atoll/host'
import type { Log } from './driver.ts'
import { assertSystemName } from './drivers/shared/checks.ts'
import { openRedisLog } from './drivers/redis/driver.ts'
import { defaultLimits, type RedisLogLimits } from './drivers/redis/limits.ts'

export { defaultLimits, type RedisLogLimits } from './drivers/redis/limits.ts'

export interface RedisLogOptions {
  /**
   * `redis://user:password@host:port/database`, or `rediss://` for TLS. One primary; a Redis Cluster is not followed.
   */
  url: string
  /** Keeps the streams of systems apart that share a Redis. Up to 31 lower case letters, digits and dashes. */
  system: string
  host: Host
  /** Told when Redis cannot be reached, and when it answers again. Default: nobody. */
  logger?: Logger
  /** Only what differs from {@link defaultLimits}. */
  limits?: Partial<RedisLogLimits>
}

/**
 * A log on Redis streams, one for each source and partition. Resolves after the first try to connect, whatever came of
 * it: while Redis cannot be reached, calls reject with UNAVAILABLE, and it is tried again and again.
 *
 * It declares itself durable, because Redis can be: with `appendonly yes` and `appendfsync always` it answers after the
 * fsync. Whether it is set so, `examine` says. What a Redis keeps, it keeps in memory as well. Its replicas follow
 * later than it answers: a failover may lose records, and is told as LOG_GAP.
 *
 * Rejects with INVALID for a url or a system name that cannot be.
 */
export async function createRedisLog(options: RedisLogOptions): Promise<Log> {
  const { url, system, host, logger = silentLogger } = options
  assertSystemName(system)
  return openRedisLog(url, system, host, logger, { ...defaultLimits, ...options.limits })
}
