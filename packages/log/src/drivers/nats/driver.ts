import { AtollError, type Host, type Logger } from '@atoll/host'
import type { Log, LogRecord } from '../../driver.ts'
import { assertCount } from '../checks.ts'
import { Connection, type ConnectionSettings } from './connection.ts'
import { examine } from './examine.ts'
import type { NatsLogLimits } from './limits.ts'
import { assertName, assertPartition, Names } from './names.ts'
import { News } from './news.ts'
import { Reader } from './reader.ts'
import { Streams } from './streams.ts'
import { Writer } from './writer.ts'

export interface NatsLogSettings extends ConnectionSettings {
  readonly system: string
  readonly replicas: number
  readonly monitoring: readonly string[]
}

/** The log of a system on NATS. Its methods need no `this`, so that it can be wrapped by spreading. */
export async function openNatsLog(settings: NatsLogSettings, host: Host, logger: Logger, limits: NatsLogLimits): Promise<Log> {
  assertName('system', settings.system)
  const names = new Names(settings.system)
  const streams = new Streams(names, settings.replicas, limits)
  const reader = new Reader(streams, names, limits)
  const news = new News(names)
  const connection = new Connection(settings, host, logger, limits, (session) => news.onSession(session))
  const session = (): ReturnType<Connection['session']> => connection.session()
  const writers = new Map<string, Writer>()
  let closed: Promise<void> | undefined

  function writerOf(source: string): Writer {
    let writer = writers.get(source)
    if (!writer) {
      writer = new Writer(source, streams, names, host, limits, session, (written, chunks) => {
        reader.offer(source, chunks)
        news.tell(written, source, new Set(chunks.map(({ records }) => records[0]!.partition))) // a chunk has a record
      })
      writers.set(source, writer)
    }
    return writer
  }

  function toClosed(): AtollError {
    return new AtollError('LOG_CLOSED', `the log of ${settings.system} on NATS was used after close; stop what uses it before closing it`)
  }

  function assertOpen(): void {
    if (closed) throw toClosed()
  }

  async function close(): Promise<void> {
    const idle = Promise.all([...writers.values()].map((writer) => writer.idle()))
    const bound = host.after(limits.callMs, () => connection.close(toClosed()))
    await idle
    bound.cancel()
    connection.close(toClosed())
    news.clear()
  }

  await connection.start()

  return {
    capabilities: { checksAppends: true, persistent: true, durable: true, dataBytesMax: limits.dataBytesMax },

    async append(source, records) {
      assertOpen()
      assertName('source', source)
      if (records.length === 0) return
      assertCount(source, records.length, limits.appendRecordsMax)
      for (const record of records) assertFits(source, record, limits.dataBytesMax)
      session() // while there is none, nothing is to wait
      await writerOf(source).append([...records])
    },

    async read(source, partition, after, limit) {
      assertOpen()
      assertName('source', source)
      assertPartition(source, partition)
      return reader.read(session, source, partition, after, limit)
    },

    async tail(source, partition) {
      assertOpen()
      assertName('source', source)
      assertPartition(source, partition)
      return reader.tail(session(), source, partition)
    },

    watch(source, listener) {
      assertOpen()
      assertName('source', source)
      return news.watch(source, listener)
    },

    async examine() {
      assertOpen()
      return examine(session(), streams, settings, host, limits)
    },

    close() {
      closed ??= close()
      return closed
    },
  }
}

/** A character of JavaScript is at most three bytes of UTF-8; most data need not be measured. */
function assertFits(source: string, record: LogRecord, dataBytesMax: number): void {
  assertPartition(source, record.partition)
  if (record.data.length * 3 <= dataBytesMax) return
  const bytes = Buffer.byteLength(record.data)
  if (bytes <= dataBytesMax) return
  throw new AtollError('BODY_TOO_LARGE', `the data of ${record.type} ${record.id} of ${source} has ${bytes} bytes, and dataBytesMax of the log is ${dataBytesMax}`, {
    details: { source, type: record.type, bytes, dataBytesMax },
  })
}
