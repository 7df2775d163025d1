import type { Host, Logger } from '@atoll/host'
import type { Log, StoredRecord } from '../../driver.ts'
import { Connection } from '../connection.ts'
import { Life } from '../life.ts'
import { Appender } from './appender.ts'
import { openRedis } from './client.ts'
import { examineRedis } from './examine.ts'
import { Hints } from './hints.ts'
import type { RedisLogLimits } from './limits.ts'
import { Reader } from './reader.ts'

/** The log of a system on the Redis at `url`. Its methods need no `this`, so that it can be wrapped by spreading. Resolves after the first try to connect. */
export async function openRedisLog(url: string, system: string, host: Host, logger: Logger, limits: RedisLogLimits): Promise<Log> {
  const redis = { url, name: `atoll-${system}`, connectMs: limits.connectMs }
  const connection = new Connection(openRedis(redis, (client) => client.dbSize()), host, logger, limits) // one that still reads its files refuses it; one that cannot write does not
  const hints = new Hints(system, redis, host, limits)
  const appender = new Appender(system, connection, hints, limits)
  const reader = new Reader(system, connection, limits)
  const life = new Life(connection.engine)

  await connection.start()
  return {
    capabilities: { checksAppends: true, persistent: true, durable: true, dataBytesMax: limits.dataBytesMax },

    async append(source, records) {
      life.assertOpen()
      if (records.length === 0) return
      await life.append(appender.append(source, records))
    },

    async read(source, partition, after, limit): Promise<StoredRecord[]> {
      life.assertOpen()
      return life.whileOpen(reader.read(source, partition, after, limit))
    },

    async tail(source, partition) {
      life.assertOpen()
      return life.whileOpen(reader.tail(source, partition))
    },

    watch(source, listener) {
      life.assertOpen()
      return hints.add(source, listener)
    },

    async examine() {
      life.assertOpen()
      return life.whileOpen(examineRedis(connection, system, host))
    },

    close() {
      return life.close(host, limits.closeMs, () => connection.close(), () => {
        hints.close()
        connection.close()
      })
    },
  }
}
