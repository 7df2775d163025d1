import { AtollError, type Host } from '@atoll/host'
import { examineSqlite, toAtollError, type Database } from '@atoll/sqlite'
import type { Log } from '../../driver.ts'
import { numberOfOffset } from '../shared/checks.ts'
import { GroupCommit } from '../shared/group-commit.ts'
import { Listeners } from '../shared/listeners.ts'
import { toLog, type EngineLog } from '../shared/log.ts'
import { Appender } from './appender.ts'
import type { EmbeddedLogLimits } from './limits.ts'
import { RecentRecords } from './recent.ts'
import { Reader } from './reader.ts'
import { Streams } from './streams.ts'
import type { Writer } from './writer.ts'

/** The log in an opened database, which it reads, and which `writer` writes. It closes both when it is closed. */
export function openEmbeddedLog(
  database: Database,
  writer: Writer,
  file: string,
  host: Host,
  limits: EmbeddedLogLimits,
): Log {
  const streams = new Streams(database)
  const reader = new Reader(database)
  const recent = new RecentRecords(limits.recentBytesMax)
  const appender = new Appender(streams, reader, recent, writer)
  const listeners = new Listeners()
  const group = new GroupCommit(host, async (appends) => {
    for (const { source, partition } of await appender.commit(appends)) listeners.tell(source, [partition])
    return undefined
  })
  const persistent = file !== ':memory:'

  const log: EngineLog = {
    engine: `the file ${file}`,
    capabilities: { checksAppends: true, persistent, canBeDurable: persistent, dataBytesMax: limits.dataBytesMax },

    append: (source, added) => group.append(source, added),

    async read(source, partition, after, limit) {
      const stream = streams.find(source, partition)
      const afterNumber = after === null ? 0 : numberOfOffset(after)
      if (afterNumber > (stream?.last ?? 0)) throw endsBefore(file, source, partition, afterNumber, stream?.last ?? 0)
      if (!stream || afterNumber >= stream.last) return []
      try {
        return (
          recent.read(stream, afterNumber, limit, limits.readBytesMax) ??
          reader.read(stream, afterNumber, limit, limits.readBytesMax)
        )
      } catch (error) {
        throw toAtollError(error, file)
      }
    },

    async tail(source, partition) {
      const stream = streams.find(source, partition)
      if (!stream || stream.last === 0) return null
      const number = stream.last
      try {
        return { number, offset: String(number), id: recent.find(stream, number)?.id ?? reader.idOf(stream, number) }
      } catch (error) {
        throw toAtollError(error, file)
      }
    },

    watch: (source, listener) => listeners.watch(source, listener),
    examine: async () => examineSqlite(),
    abandon: () => group.abandon(),

    async close() {
      listeners.close()
      await writer.close()
      database.close()
    },
  }
  return toLog(log, host, limits)
}

/** The reader has been further than the log reaches now. */
function endsBefore(file: string, source: string, partition: number, after: number, last: number): AtollError {
  return new AtollError(
    'LOG_GAP',
    `the log ${file} ends at number ${last} in partition ${partition} of ${source}, and has been read up to ${after}: records are lost. Restore it`,
  )
}
