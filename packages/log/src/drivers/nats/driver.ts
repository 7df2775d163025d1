import type { Host, Logger } from '@atoll/host'
import type { Log } from '../../driver.ts'
import { toLog, type EngineLog } from '../shared/log.ts'
import { Appender } from './appender.ts'
import { Connection, type ConnectionSettings } from './connection.ts'
import { examine } from './examine.ts'
import { Hints } from './hints.ts'
import type { NatsLogLimits } from './limits.ts'
import { Names } from './names.ts'
import { Reader } from './reader.ts'
import { Streams } from './streams.ts'

export interface NatsLogSettings extends ConnectionSettings {
  readonly system: string
  readonly replicas: number
  readonly monitoring: readonly string[]
}

/** The log of a system on NATS. Resolves after the first try to connect. */
export async function openNatsLog(
  settings: NatsLogSettings,
  host: Host,
  logger: Logger,
  limits: NatsLogLimits,
): Promise<Log> {
  const names = new Names(settings.system)
  const streams = new Streams(names, settings.replicas, limits)
  const reader = new Reader(streams, names, limits)
  const hints = new Hints(names)
  const connection = new Connection(settings, host, logger, limits, (session) => hints.onSession(session))
  const session = (): ReturnType<Connection['session']> => connection.session()
  const appenders = new Map<string, Appender>()

  function appenderOf(source: string): Appender {
    let appender = appenders.get(source)
    if (!appender) {
      appender = new Appender({
        source,
        streams,
        names,
        host,
        limits,
        session,
        onWritten(written, chunks) {
          reader.offer(source, chunks)
          hints.tell(written, source, new Set(chunks.map(({ records }) => records[0]!.partition))) // a chunk has a record
        },
      })
      appenders.set(source, appender)
    }
    return appender
  }

  await connection.start()

  const log: EngineLog = {
    engine: connection.engine,
    capabilities: { checksAppends: true, persistent: true, canBeDurable: true, dataBytesMax: limits.dataBytesMax },

    async append(source, records) {
      session() // while there is none, nothing is to wait
      await appenderOf(source).append([...records])
    },

    read: (source, partition, after, limit) => reader.read(session, source, partition, after, limit),
    tail: async (source, partition) => reader.tail(session(), source, partition),
    watch: (source, listener) => hints.watch(source, listener),
    examine: async () => examine(session(), streams, settings, host, limits),
    abandon: () => connection.close(),
    close() {
      connection.close()
      hints.close()
    },
  }
  return toLog(log, host, limits)
}
