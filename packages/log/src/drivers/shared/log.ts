import { AtollError, type Host } from '@atoll/host'
import type { Log, LogRecord, Offset, StoredRecord, Tail } from '../../driver.ts'
import { Backlog } from './backlog.ts'
import { assertCount, assertPartition, assertRecord, assertSource } from './checks.ts'
import type { CommonLimits } from './limits.ts'

/**
 * A log as its driver makes it: what differs from engine to engine. What logs do alike, {@link toLog} does around it.
 */
export interface EngineLog extends Pick<Log, 'capabilities' | 'watch' | 'examine'> {
  /** For messages, without credentials: `Redis at 10.0.0.7:6379`. */
  readonly engine: string
  /**
   * As {@link Log.append}; the records are some, could be somewhere, and fit. The driver may keep them until it
   * settles, and not change them.
   */
  append(source: string, records: readonly LogRecord[]): Promise<void>
  /** As {@link Log.read}, with a limit from 1 to `readRecordsMax`. */
  read(source: string, partition: number, after: Offset | null, limit: number): Promise<StoredRecord[]>
  tail(source: string, partition: number): Promise<Tail | null>
  /** Closing has waited for `closeMs`: what is under way is to reject. */
  abandon(): void
  /** Frees everything. No append is under way, or it was abandoned. */
  close(): Promise<void> | void
}

/**
 * The log of an engine, as the port asks for it: it refuses what cannot be, bounds what is under way, and says
 * LOG_CLOSED of all that is asked once it is closed. Its methods need no `this`, so that it can be wrapped by
 * spreading.
 */
export function toLog(log: EngineLog, host: Host, limits: CommonLimits): Log {
  const backlog = new Backlog(log.engine, limits)
  const appends = new Set<Promise<void>>()
  let closed: Promise<void> | undefined
  let isAbandoned = false

  function assertOpen(cause?: unknown): void {
    if (closed)
      throw new AtollError(
        'LOG_CLOSED',
        `the log on ${log.engine} was used after close; stop what uses it before closing it`,
        { cause },
      )
  }

  /** What fails because the log was closed meanwhile, says so. */
  async function whileOpen<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      assertOpen(error)
      throw AtollError.from(error)
    }
  }

  async function close(): Promise<void> {
    const timer = host.after(limits.closeMs, () => {
      isAbandoned = true
      log.abandon()
    })
    await Promise.allSettled(appends)
    timer.cancel()
    await log.close()
  }

  return {
    capabilities: log.capabilities,

    async append(source, records) {
      assertOpen()
      assertSource(source)
      if (records.length === 0) return
      assertCount(source, records.length, limits.appendRecordsMax)
      let bytes = 0
      for (const record of records) {
        assertRecord(source, record, limits.dataBytesMax)
        bytes += record.data.length
      }
      const release = backlog.take(source, records.length, bytes)
      const append = log.append(source, records)
      appends.add(append)
      try {
        await append
      } catch (error) {
        if (isAbandoned)
          throw new AtollError(
            'LOG_CLOSED',
            `the log on ${log.engine} was closed while records of ${source} were on their way; they may have been written: append them again`,
            { cause: error },
          )
        throw AtollError.from(error)
      } finally {
        appends.delete(append)
        release()
      }
    },

    async read(source, partition, after, limit) {
      assertOpen()
      assertSource(source)
      assertPartition(source, partition)
      const count = Math.min(limit, limits.readRecordsMax)
      return count >= 1 ? whileOpen(log.read(source, partition, after, count)) : []
    },

    async tail(source, partition) {
      assertOpen()
      assertSource(source)
      assertPartition(source, partition)
      return whileOpen(log.tail(source, partition))
    },

    watch(source, listener) {
      assertOpen()
      assertSource(source)
      return log.watch(source, listener)
    },

    async examine() {
      assertOpen()
      return whileOpen(log.examine())
    },

    close: () => (closed ??= close()),
  }
}
