// For whoever starts a system: the log on RabbitMQ streams.

import { silentLogger, type Host, type Logger } from '@atoll/host'
import type { Log } from './driver.ts'
import { assertSystemName } from './drivers/shared/checks.ts'
import { openRabbitmqLog } from './drivers/rabbitmq/driver.ts'
import { defaultLimits, type RabbitmqLogLimits } from './drivers/rabbitmq/limits.ts'

export { defaultLimits, type RabbitmqLogLimits } from './drivers/rabbitmq/limits.ts'

export interface RabbitmqLogOptions {
  /**
   * `amqp://user:password@host:port/vhost`, or `amqps://` for TLS. `rabbitmq://` is taken for the same. Name the nodes
   * of a cluster one after the other, as in `amqp://user:password@one:5672,two:5672,three:5672/vhost`: they are tried
   * in turn, from any of them on.
   */
  url: string
  /** Keeps the streams of systems apart that share a virtual host. Up to 31 lower case letters, digits and dashes. */
  system: string
  host: Host
  /**
   * Where nodes answer with the management plugin, such as `http://host:15672`. Only `examine` asks there, with the
   * user and password of the url; without it, nobody knows how many replicas streams have.
   */
  monitoring?: string | readonly string[]
  /** Told when RabbitMQ cannot be reached, and when it answers again. Default: nobody. */
  logger?: Logger
  /** Only what differs from {@link defaultLimits}. */
  limits?: Partial<RabbitmqLogLimits>
}

/**
 * A log on RabbitMQ streams over AMQP, one for each source and partition, made for its first record. Resolves after the
 * first try to connect, whatever came of it: while RabbitMQ cannot be reached, calls reject with UNAVAILABLE, and it is
 * tried again and again.
 *
 * It does not declare itself durable: RabbitMQ never syncs streams, so one node loses with its power what it had
 * confirmed. Nor does it look before it writes (`checksAppends: false`): repeats are in the log, and readers drop them
 * by number.
 *
 * Rejects with INVALID for a url or a system name that cannot be.
 */
export async function createRabbitmqLog(options: RabbitmqLogOptions): Promise<Log> {
  const { url, monitoring = [], system, host, logger = silentLogger } = options
  assertSystemName(system)
  return openRabbitmqLog(url, typeof monitoring === 'string' ? [monitoring] : monitoring, system, host, logger, {
    ...defaultLimits,
    ...options.limits,
  })
}
