import { AtollError, type Host, type Logger } from '@atoll/host'
import type { Log, LogRecord } from '../../driver.ts'
import { assertCount } from '../checks.ts'
import { Appender } from './appender.ts'
import { within, type Call } from './call.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { toAtollError } from './errors.ts'
import { examine } from './examine.ts'
import { Hints } from './hints.ts'
import type { KafkaLogLimits } from './limits.ts'
import { assertSystem, topicOf } from './names.ts'
import { Reader } from './reader.ts'
import { toParcel } from './records.ts'
import { Topics, type TopicShape } from './topics.ts'

/** The log of one system on the brokers of a cluster. Its methods need no `this`, so that it can be wrapped by spreading. */
export async function openKafkaLog(system: string, shape: TopicShape, options: ClusterOptions, host: Host, logger: Logger, limits: KafkaLogLimits): Promise<Log> {
  assertSystem(system)
  const cluster = new Cluster(options, host, logger, limits)
  const topics = new Topics(cluster, shape, limits)
  const reader = new Reader(cluster, topics, logger, limits)
  const hints = new Hints(cluster, host, limits)
  const appenders = new Map<string, Appender>()
  const appends = new Set<Promise<unknown>>()
  let queuedRecords = 0
  let closed: Promise<void> | undefined

  function assertOpen(): void {
    if (closed) throw new AtollError('LOG_CLOSED', `the log of ${system} was used after close; stop what uses it before closing it`)
  }

  /** Says in our words what went wrong, and what a call was about whose log was closed under it. */
  function failure(error: unknown, what: string): AtollError {
    if (closed) return new AtollError('LOG_CLOSED', `the log of ${system} was closed while it was in use (${what}); stop what uses it before closing it`, { cause: error })
    return toAtollError(error, what)
  }

  async function ask<T>(what: string, body: (call: Call) => Promise<T>): Promise<T> {
    assertOpen()
    cluster.assertUp()
    try {
      return await within(host, limits.callMs, what, body)
    } catch (error) {
      throw failure(error, what)
    }
  }

  function appenderOf(source: string, name: string): Appender {
    let appender = appenders.get(source)
    if (!appender) appenders.set(source, (appender = new Appender(source, name, `append-${appenders.size % appendLanes}`, cluster, topics, reader, host, limits)))
    return appender
  }

  async function append(source: string, records: readonly LogRecord[]): Promise<void> {
    const name = topicOf(system, source)
    const parcels = records.map((record) => {
      assertPlace(source, record, shape.partitions)
      return toParcel(name, source, record, limits.dataBytesMax)
    })
    cluster.assertUp()
    const what = `appending ${records.length} records to ${name}`
    try {
      hints.tell(source, await within(host, limits.callMs, what, (call) => appenderOf(source, name).append(call, parcels)))
    } catch (error) {
      throw toAtollError(error, what)
    }
  }

  await cluster.connect()

  return {
    capabilities: { checksAppends: true, persistent: true, durable: true, dataBytesMax: limits.dataBytesMax },

    async append(source, records) {
      assertOpen()
      if (records.length === 0) return
      assertRoom(source, records.length, queuedRecords, limits)
      queuedRecords += records.length
      const appended = append(source, records).finally(() => {
        queuedRecords -= records.length
        appends.delete(appended)
      })
      appends.add(appended)
      return appended
    },

    async read(source, partition, after, limit) {
      const name = topicOf(system, source)
      return ask(`reading partition ${partition} of ${name}`, (call) => reader.read(call, name, source, partition, after, limit))
    },

    async tail(source, partition) {
      const name = topicOf(system, source)
      return ask(`looking for the end of partition ${partition} of ${name}`, (call) => reader.tail(call, name, source, partition))
    },

    watch(source, listener) {
      assertOpen()
      return hints.watch(source, topicOf(system, source), listener)
    },

    async examine() {
      return ask('reading the settings of the brokers', (call) => examine(call, cluster, system, shape, limits))
    },

    close() {
      closed ??= close()
      return closed
    },
  }

  async function close(): Promise<void> {
    await Promise.allSettled(appends) // each ends within callMs
    await Promise.all([hints.close(), cluster.close()])
  }
}

/** Connections per broker that appends are spread over: one source's wait for the disk is not every other's. */
const appendLanes = 4

function assertRoom(source: string, count: number, queued: number, limits: KafkaLogLimits): void {
  assertCount(source, count, limits.appendRecordsMax)
  if (queued > 0 && queued + count > limits.queuedRecordsMax) {
    throw new AtollError('OVERLOADED', `${queued} records wait for the log already; ${count} of ${source} are over queuedRecordsMax (${limits.queuedRecordsMax})`)
  }
}

function assertPlace(source: string, { partition, number, at, id }: LogRecord, partitions: number): void {
  if (!Number.isInteger(partition) || partition < 0 || partition >= partitions) {
    throw new AtollError('INVALID', `event ${id} of ${source} has partition ${partition}, and the log has ${partitions}, from 0`)
  }
  if (!Number.isSafeInteger(number) || number < 1) throw new AtollError('INVALID', `event ${id} of ${source} has number ${number}; numbers are whole, from 1`)
  if (!Number.isSafeInteger(at) || at < 0) throw new AtollError('INVALID', `event ${id} of ${source} happened at ${at}; times are whole milliseconds since 1970`)
}
