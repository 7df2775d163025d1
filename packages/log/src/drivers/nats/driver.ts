import { AtollError, type Host, type Logger } from '@atoll/host'
import type { Log } from '../../driver.ts'
import { assertCount, assertFits } from '../checks.ts'
import { Appender } from './appender.ts'
import { Connection, type ConnectionSettings } from './connection.ts'
import { examine } from './examine.ts'
import { Hints } from './hints.ts'
import type { NatsLogLimits } from './limits.ts'
import { assertName, assertPartition, Names } from './names.ts'
import { Reader } from './reader.ts'
import { Streams } from './streams.ts'

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
  const hints = new Hints(names)
  const connection = new Connection(settings, host, logger, limits, (session) => hints.onSession(session))
  const session = (): ReturnType<Connection['session']> => connection.session()
  const appenders = new Map<string, Appender>()
  let closed: Promise<void> | undefined

  function appenderOf(source: string): Appender {
    let appender = appenders.get(source)
    if (!appender) {
      appender = new Appender(source, streams, names, host, limits, session, (written, chunks) => {
        reader.offer(source, chunks)
        hints.tell(written, source, new Set(chunks.map(({ records }) => records[0]!.partition))) // a chunk has a record
      })
      appenders.set(source, appender)
    }
    return appender
  }

  function toClosed(): AtollError {
    return new AtollError('LOG_CLOSED', `the log of ${settings.system} on NATS was used after close; stop what uses it before closing it`)
  }

  function assertOpen(): void {
    if (closed) throw toClosed()
  }

  async function close(): Promise<void> {
    const idle = Promise.all([...appenders.values()].map((appender) => appender.idle()))
    const bound = host.after(limits.callMs, () => connection.close(toClosed()))
    await idle
    bound.cancel()
    connection.close(toClosed())
    hints.clear()
  }

  await connection.start()

  return {
    capabilities: { checksAppends: true, persistent: true, durable: true, dataBytesMax: limits.dataBytesMax },

    async append(source, records) {
      assertOpen()
      assertName('source', source)
      if (records.length === 0) return
      assertCount(source, records.length, limits.appendRecordsMax)
      for (const record of records) {
        assertPartition(source, record.partition)
        assertFits(source, record, limits.dataBytesMax)
      }
      session() // while there is none, nothing is to wait
      await appenderOf(source).append([...records])
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
      return hints.watch(source, listener)
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
