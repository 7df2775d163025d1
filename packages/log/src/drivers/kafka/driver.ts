import { AtollError, type Host, type Logger } from '@atoll/host'
import type { Log, LogRecord } from '../../driver.ts'
import { toLog, type EngineLog } from '../shared/log.ts'
import { Appender } from './appender.ts'
import { within, type Call } from './call.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { toAtollError } from './errors.ts'
import { examine } from './examine.ts'
import { Hints } from './hints.ts'
import type { KafkaLogLimits } from './limits.ts'
import { topicOf } from './names.ts'
import { Reader } from './reader.ts'
import { toParcel } from './format.ts'
import { Topics, type TopicShape } from './topics.ts'

/** The log of one system on the brokers of a cluster. Resolves after the first try to connect. */
export async function openKafkaLog(
  system: string,
  shape: TopicShape,
  options: ClusterOptions,
  host: Host,
  logger: Logger,
  limits: KafkaLogLimits,
): Promise<Log> {
  const cluster = new Cluster(options, host, logger, limits)
  const topics = new Topics(cluster, shape, limits)
  const reader = new Reader(cluster, topics, logger, limits)
  const hints = new Hints(system, cluster, host, limits)
  const appenders = new Map<string, Appender>()

  async function ask<T>(what: string, body: (call: Call) => Promise<T>): Promise<T> {
    cluster.assertUp()
    try {
      return await within(host, limits.callMs, what, body)
    } catch (error) {
      throw toAtollError(error, what)
    }
  }

  function appenderOf(source: string, name: string): Appender {
    let appender = appenders.get(source)
    if (!appender)
      appenders.set(
        source,
        (appender = new Appender({
          source,
          name,
          lane: `append-${appenders.size % appendLanes}`,
          cluster,
          topics,
          reader,
          host,
          limits,
        })),
      )
    return appender
  }

  await cluster.connect()

  const log: EngineLog = {
    engine: cluster.engine,
    capabilities: { checksAppends: true, persistent: true, canBeDurable: true, dataBytesMax: limits.dataBytesMax },

    async append(source, records) {
      const name = topicOf(system, source)
      const parcels = records.map((record) => {
        assertTakes(source, record, shape.partitions)
        return toParcel(name, source, record)
      })
      hints.tell(
        source,
        await ask(`appending ${records.length} records to ${name}`, (call) =>
          appenderOf(source, name).append(call, parcels),
        ),
      )
    },

    async read(source, partition, after, limit) {
      const name = topicOf(system, source)
      return ask(`reading partition ${partition} of ${name}`, (call) =>
        reader.read(call, name, source, partition, after, limit),
      )
    },

    async tail(source, partition) {
      const name = topicOf(system, source)
      return ask(`looking for the end of partition ${partition} of ${name}`, (call) =>
        reader.tail(call, name, source, partition),
      )
    },

    watch: (source, listener) => hints.watch(source, listener),
    examine: () => ask('reading the settings of the brokers', (call) => examine(call, cluster, system, shape, limits)),
    abandon: () => void cluster.close(),
    async close() {
      await Promise.all([hints.close(), cluster.close()])
    },
  }
  return toLog(log, host, limits)
}

/** Connections per broker that appends are spread over: one source's wait for the disk is not every other's. */
const appendLanes = 4

function assertTakes(source: string, { partition, at, id }: LogRecord, partitions: number): void {
  if (partition >= partitions)
    throw new AtollError(
      'INVALID',
      `event ${id} of ${source} has partition ${partition}, and the log has ${partitions}, from 0`,
    )
  if (!Number.isSafeInteger(at) || at < 0)
    throw new AtollError(
      'INVALID',
      `event ${id} of ${source} happened at ${at}; times are whole milliseconds since 1970`,
    )
}
