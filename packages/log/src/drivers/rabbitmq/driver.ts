import { silentLogger, type Host, type Logger } from '@atoll/host'
import type { Log } from '../../driver.ts'
import { Connection } from '../shared/connection.ts'
import { toLog, type EngineLog } from '../shared/log.ts'
import { Appender } from './appender.ts'
import { openReading, openWriter, toNodes } from './client.ts'
import { describe } from './errors.ts'
import { examineRabbitmq } from './examine.ts'
import { Hints } from './hints.ts'
import { KnownNumbers } from './known.ts'
import type { RabbitmqLogLimits } from './limits.ts'
import { askManagement, type Managed } from './management.ts'
import { writeMark } from './mark.ts'
import { Reader } from './reader.ts'

/** The log of a system on the RabbitMQ at `url`. Resolves after the first try to connect. */
export async function openRabbitmqLog(
  url: string,
  monitoring: readonly string[],
  system: string,
  host: Host,
  logger: Logger,
  limits: RabbitmqLogLimits,
): Promise<Log> {
  const nodes = toNodes(url)
  // Processes with the same url begin at different nodes, and both connections of one at the same: a stream is led
  // where it is made.
  const first = Math.floor(host.random() * nodes.length)
  const rabbitmq = {
    nodes: [...nodes.slice(first), ...nodes.slice(0, first)],
    name: `atoll ${system}`,
    connectMs: limits.connectMs,
    host,
  }
  const known = new KnownNumbers()
  const hints = new Hints(system, host.hex(8), known, (stream) => reader.appeared(stream))
  const writing = new Connection(openWriter(rabbitmq), host, logger, limits)
  const reading = new Connection(
    openReading(rabbitmq, (channel) => {
      reader.reconnected()
      return hints.prepare(channel)
    }),
    host,
    silentLogger, // the other connection tells of the same trouble
    limits,
  )
  const appender = new Appender({
    system,
    connection: writing,
    known,
    hints,
    host,
    limits,
    onWritten: (stream) => reader.appeared(stream),
  })
  const reader = new Reader({
    system,
    connection: reading,
    known,
    making: (stream) => appender.making(stream),
    writeMark: (stream) => writeMark(stream, writing, host),
    host,
    limits,
  })
  async function askForManaged(): Promise<Managed | string> {
    if (monitoring.length === 0)
      return 'nobody is named who would: enable the plugin rabbitmq_management, and give its URL as `monitoring`'
    try {
      return await askManagement(monitoring, nodes[0]!.url, system, limits.callMs) // of one node at least
    } catch (error) {
      return `the management plugin cannot be asked (${describe(error)}): check \`monitoring\``
    }
  }

  await Promise.all([writing.start(), reading.start()])
  const log: EngineLog = {
    engine: writing.engine,
    // It never syncs: what it confirms is in the memory of the kernel, on one node or on several.
    capabilities: { checksAppends: false, persistent: true, canBeDurable: false, dataBytesMax: limits.dataBytesMax },
    append: (source, records) => appender.append(source, records),

    async read(source, partition, after, limit) {
      await hints.follow(source, reading) // before it looks, for it may believe for long that there is nothing
      return reader.read(source, partition, after, limit)
    },

    async tail(source, partition) {
      await hints.follow(source, reading)
      return reader.tail(source, partition)
    },

    watch(source, listener) {
      void hints.follow(source, reading)
      return hints.watch(source, listener)
    },

    examine: () => examineRabbitmq(writing, [...new Set([...appender.streams, ...reader.streams])], askForManaged),
    abandon: () => writing.close(),

    close() {
      hints.close()
      reader.close()
      writing.close()
      reading.close()
    },
  }
  return toLog(log, host, limits)
}
