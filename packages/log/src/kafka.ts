// For whoever starts a system on Kafka: the log in topics of a cluster.

import type { ConnectionOptions } from 'node:tls'
import { AtollError, silentLogger, type Host, type Logger } from '@atoll/host'
import type { Log } from './driver.ts'
import type { Address } from './drivers/kafka/cluster.ts'
import { openKafkaLog } from './drivers/kafka/driver.ts'
import { defaultLimits, type KafkaLogLimits } from './drivers/kafka/limits.ts'
import { assertSystemName } from './drivers/shared/checks.ts'

export { defaultLimits, type KafkaLogLimits } from './drivers/kafka/limits.ts'

export interface KafkaLogOptions {
  /** `host:port` of one or several brokers, from which the others are learned. The port is 9092 if it is left out. */
  brokers: readonly string[]
  /**
   * Keeps systems on one cluster apart: topics are called `<system>.<source>`. Up to 31 lower case letters, digits and
   * dashes.
   */
  system: string
  /**
   * How many partitions topics are made with; the same for the life of the data. A topic that has another number is not
   * written to.
   */
  partitions: number
  /**
   * On how many brokers each record is to lie. Default 3; on a machine of your own, 1. Topics that are there already
   * stay as they are.
   */
  replicas?: number
  host: Host
  /** Hears when the brokers cannot be reached, and when they can again. Default: nobody does. */
  logger?: Logger
  /** As whom to log in. Without it nobody does. */
  sasl?: KafkaSasl
  /**
   * As `node:tls` takes it; `{}` trusts the authorities that Node.js trusts. Without it connections are not encrypted.
   */
  tls?: ConnectionOptions
  /** Only what differs from {@link defaultLimits}. */
  limits?: Partial<KafkaLogLimits>
}

export type KafkaSasl =
  | { mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'; username: string; password: string }
  | { mechanism: 'OAUTHBEARER'; token: string | (() => string | Promise<string>) }

/**
 * The log of a system on Apache Kafka, 3.6 or later. Resolves also while no broker can be reached: it goes on trying,
 * and until then every call rejects with UNAVAILABLE.
 *
 * `capabilities.canBeDurable` says what Kafka can do: a record is acknowledged when every replica in sync has it.
 * Whether that outlasts a loss of power is a matter of the brokers' settings, which {@link Log.examine} reads.
 *
 * Rejects with INVALID if an option makes no sense.
 */
export async function createKafkaLog(options: KafkaLogOptions): Promise<Log> {
  const { brokers, system, partitions, replicas = 3, host, logger = silentLogger, sasl, tls } = options
  assertSystemName(system)
  if (brokers.length === 0)
    throw new AtollError('INVALID', 'the Kafka log has no brokers; name at least one, as host:port')
  for (const [name, value] of Object.entries({ partitions, replicas })) {
    if (!Number.isInteger(value) || value < 1)
      throw new AtollError('INVALID', `${name} of the Kafka log is ${value}; it is a whole number from 1`)
  }
  const cluster = { brokers: brokers.map(toAddress), clientId: `atoll-${system}`, sasl, tls }
  return openKafkaLog(system, { partitions, replicas }, cluster, host, logger, { ...defaultLimits, ...options.limits })
}

function toAddress(broker: string): Address {
  const match = /^(?:kafka:\/\/)?(\[[^\]]+\]|[^:/]+)(?::(\d{1,5}))?\/?$/.exec(broker)
  if (!match) throw new AtollError('INVALID', `'${broker}' is not the address of a broker; write host:port`)
  return { host: match[1]!.replace(/^\[|\]$/g, ''), port: Number(match[2] ?? 9092) }
}
