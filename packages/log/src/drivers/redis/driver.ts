import { AtollError, type Host, type Logger } from '@atoll/host'
import type { Log, StoredRecord } from '../../driver.ts'
import { Connection } from '../connection.ts'
import { Appender } from './appender.ts'
import { openRedis } from './client.ts'
import { examineRedis } from './examine.ts'
import { Hints } from './hints.ts'
import type { RedisLogLimits } from './limits.ts'
import { Reader } from './reader.ts'
import { appendScript } from './scripts.ts'

/** The log of a system on the Redis at `url`. Its methods need no `this`, so that it can be wrapped by spreading. Resolves after the first try to connect. */
export async function openRedisLog(url: string, system: string, host: Host, logger: Logger, limits: RedisLogLimits): Promise<Log> {
  const redis = { url, name: `atoll-${system}`, connectMs: limits.connectMs }
  const connection = new Connection(
    openRedis(redis, (client) => client.scriptLoad(appendScript.text)),
    host,
    logger,
    limits,
  )
  const hints = new Hints(system, redis, host, limits)
  const appender = new Appender(system, connection, hints, limits)
  const reader = new Reader(system, connection, limits)
  const appends = new Set<Promise<void>>()
  let closed: Promise<void> | undefined

  function assertOpen(): void {
    if (closed) throw new AtollError('LOG_CLOSED', `the log on ${connection.engine} was used after close; stop what uses it before closing it`)
  }

  /** What is rejected because the log was closed meanwhile, says so. */
  async function whileOpen<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      assertOpen()
      throw error
    }
  }

  async function close(): Promise<void> {
    const timeout = host.after(limits.closeMs, () => connection.close()) // rejects what is still under way
    await Promise.allSettled(appends)
    timeout.cancel()
    hints.close()
    connection.close()
  }

  await connection.start()
  return {
    capabilities: { checksAppends: true, persistent: true, durable: true, dataBytesMax: limits.dataBytesMax },

    async append(source, records) {
      assertOpen()
      if (records.length === 0) return
      const append = appender.append(source, records)
      appends.add(append)
      try {
        await append
      } finally {
        appends.delete(append)
      }
    },

    async read(source, partition, after, limit): Promise<StoredRecord[]> {
      assertOpen()
      return whileOpen(reader.read(source, partition, after, limit))
    },

    async tail(source, partition) {
      assertOpen()
      return whileOpen(reader.tail(source, partition))
    },

    watch(source, listener) {
      assertOpen()
      return hints.add(source, listener)
    },

    async examine() {
      assertOpen()
      return whileOpen(examineRedis(connection, system, host))
    },

    close() {
      closed ??= close()
      return closed
    },
  }
}
