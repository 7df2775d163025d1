import type { Host, Logger } from '@atoll/host'
import type { Log } from '../../driver.ts'
import { Connection } from '../shared/connection.ts'
import { toLog, type EngineLog } from '../shared/log.ts'
import { Appender } from './appender.ts'
import { openRedis } from './client.ts'
import { examineRedis } from './examine.ts'
import { Hints } from './hints.ts'
import type { RedisLogLimits } from './limits.ts'
import { Reader } from './reader.ts'

/** The log of a system on the Redis at `url`. Resolves after the first try to connect. */
export async function openRedisLog(
  url: string,
  system: string,
  host: Host,
  logger: Logger,
  limits: RedisLogLimits,
): Promise<Log> {
  const redis = { url, name: `atoll-${system}`, connectMs: limits.connectMs }
  // DBSIZE fails while Redis loads its dataset, and works when Redis is read-only.
  const connection = new Connection(
    openRedis(redis, (client) => client.dbSize()),
    host,
    logger,
    limits,
  )
  const hints = new Hints(system, redis, host, limits)
  const appender = new Appender(system, connection, hints, limits)
  const reader = new Reader(system, connection, limits)

  await connection.start()
  const log: EngineLog = {
    engine: connection.engine,
    capabilities: { checksAppends: true, persistent: true, canBeDurable: true, dataBytesMax: limits.dataBytesMax },
    append: (source, records) => appender.append(source, records),
    read: (source, partition, after, limit) => reader.read(source, partition, after, limit),
    tail: (source, partition) => reader.tail(source, partition),
    watch: (source, listener) => hints.watch(source, listener),
    examine: () => examineRedis(connection, system, host),
    abandon: () => connection.close(),
    close() {
      hints.close()
      connection.close()
    },
  }
  return toLog(log, host, limits)
}
