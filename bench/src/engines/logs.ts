import type { Host, Logger } from '@atoll/host'
import type { Log } from '@atoll/log/driver'

export const logEngines = ['postgres', 'nats', 'kafka', 'rabbitmq', 'redis'] as const
export type LogEngine = (typeof logEngines)[number]

/** Opens Atoll's log on an engine, as the tables of the bench have it: 16 partitions, and nothing else but defaults. */
export async function openLog(
  engine: LogEngine,
  url: string,
  system: string,
  host: Host,
  logger: Logger,
): Promise<Log> {
  const common = { system, host, logger }
  switch (engine) {
    case 'postgres':
      return (await import('@atoll/log/postgres')).createPostgresLog({ url, ...common })
    case 'nats':
      return (await import('@atoll/log/nats')).createNatsLog({ servers: url, ...common })
    case 'kafka':
      return (await import('@atoll/log/kafka')).createKafkaLog({
        brokers: [new URL(url).host],
        partitions: PARTITIONS,
        replicas: 1,
        ...common,
      })
    case 'rabbitmq':
      return (await import('@atoll/log/rabbitmq')).createRabbitmqLog({ url, ...common })
    case 'redis':
      return (await import('@atoll/log/redis')).createRedisLog({ url, ...common })
  }
}

export const PARTITIONS = 16
