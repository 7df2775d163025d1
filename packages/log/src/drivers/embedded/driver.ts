import { AtollError, type Host } from '@atoll/host'
import { examineSqlite, toAtollError, type Database } from '@atoll/sqlite'
import type { Log, LogRecord, Offset } from '../../driver.ts'
import { assertCount, assertFits } from '../checks.ts'
import { Committer, type Append } from './commit.ts'
import type { EmbeddedLogLimits } from './limits.ts'
import { Listeners } from '../listeners.ts'
import { RecentRecords } from './recent.ts'
import { Records } from './records.ts'
import { Streams } from './streams.ts'
import type { Writer } from './writer.ts'

/**
 * The log in an opened database, which it reads, and which `writer` writes. It closes both when it is closed. Its methods need no
 * `this`, so that it can be wrapped by spreading.
 */
export function openEmbeddedLog(database: Database, writer: Writer, file: string, host: Host, limits: EmbeddedLogLimits): Log {
  const streams = new Streams(database)
  const records = new Records(database)
  const recent = new RecentRecords(limits.recentBytesMax)
  const committer = new Committer(streams, records, recent, writer)
  const listeners = new Listeners()
  const persistent = file !== ':memory:'

  let queue: Append[] = []
  let queuedRecords = 0
  let queuedChars = 0
  let committing: Promise<void> | undefined
  let closed: Promise<void> | undefined

  /** Commits what waits, of which there is some, and what comes to wait meanwhile. */
  async function commitQueued(): Promise<void> {
    while (queue.length > 0) {
      const appends = queue
      queue = []
      queuedRecords = 0
      queuedChars = 0
      for (const { source, partition } of await committer.commit(appends)) listeners.tell(source, partition)
    }
    committing = undefined
  }

  function flush(): void {
    if (!committing && queue.length > 0) committing = commitQueued()
  }

  function enqueue(source: string, added: readonly LogRecord[], chars: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (queue.length === 0 && !committing) host.turn(flush)
      queue.push({ source, records: added, resolve, reject })
      queuedRecords += added.length
      queuedChars += chars
    })
  }

  function assertOpen(): void {
    if (closed) throw new AtollError('LOG_CLOSED', `the log ${file} was used after close; stop what uses it before closing it`)
  }

  function assertRoom(source: string, count: number, chars: number): void {
    assertCount(source, count, limits.appendRecordsMax)
    if (queue.length === 0) return
    if (queuedRecords + count > limits.queuedRecordsMax || queuedChars + chars > limits.queuedCharsMax) {
      throw new AtollError('OVERLOADED', `${queuedRecords} records wait for the log already; ${count} of ${source} are over queuedRecordsMax (${limits.queuedRecordsMax}) or queuedCharsMax (${limits.queuedCharsMax})`)
    }
  }

  return {
    capabilities: { checksAppends: true, persistent, durable: persistent, dataBytesMax: limits.dataBytesMax },

    async append(source, added) {
      assertOpen()
      if (added.length === 0) return
      let chars = 0
      for (const record of added) {
        assertFits(source, record, limits.dataBytesMax)
        chars += record.data.length
      }
      assertRoom(source, added.length, chars)
      await enqueue(source, added, chars)
    },

    async read(source, partition, after, limit) {
      assertOpen()
      const stream = streams.find(source, partition)
      const afterNumber = after === null ? 0 : numberOf(after)
      if (afterNumber > (stream?.last ?? 0)) throw endsBefore(file, source, partition, afterNumber, stream?.last ?? 0)
      const count = Math.min(limit, limits.readRecordsMax)
      if (!stream || afterNumber >= stream.last || count <= 0) return []
      try {
        return recent.read(stream, afterNumber, count, limits.readCharsMax) ?? records.read(stream, afterNumber, count, limits.readCharsMax)
      } catch (error) {
        throw toAtollError(error, file)
      }
    },

    async tail(source, partition) {
      assertOpen()
      const stream = streams.find(source, partition)
      if (!stream || stream.last === 0) return null
      const number = stream.last
      try {
        return { number, offset: String(number), id: recent.find(stream, number)?.id ?? records.idOf(stream, number) }
      } catch (error) {
        throw toAtollError(error, file)
      }
    },

    watch(source, listener) {
      assertOpen()
      return listeners.add(source, listener)
    },

    async examine() {
      assertOpen()
      return examineSqlite()
    },

    close() {
      closed ??= close()
      return closed
    },
  }

  async function close(): Promise<void> {
    flush()
    await committing
    listeners.clear()
    await writer.close()
    database.close()
  }
}

/** The reader has been further than the log reaches now. */
function endsBefore(file: string, source: string, partition: number, after: number, last: number): AtollError {
  return new AtollError('LOG_GAP', `the log ${file} ends at number ${last} in partition ${partition} of ${source}, and has been read up to ${after}: records are lost. Restore it`)
}

function numberOf(offset: Offset): number {
  const number = Number(offset)
  if (Number.isSafeInteger(number) && number > 0) return number
  throw new AtollError('INVALID', `'${offset}' is not an offset that this log gave; hand back the offset of a record or a tail`)
}
