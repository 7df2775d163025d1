import { join } from 'node:path'
import { oneNode, startBehindProxy, type EngineName, type Proxy, type RunningEngine } from '@atoll/engines'
import { createNodeHost } from '@atoll/host/node'
import type { Log } from '@atoll/log/driver'

/** Which engine keeps the log; stores are in PostgreSQL. */
export type LogName = EngineName

/** An engine, and the network between it and the processes of the system. */
export interface Served {
  readonly engine: RunningEngine
  readonly proxy: Proxy
  /** Where the processes of the system reach it: through the proxy. */
  readonly url: string
}

/** The engines of a system; both are one if PostgreSQL keeps the log, too. */
export interface Engines {
  readonly stores: Served
  readonly log: Served
}

export async function startEngines(name: LogName, folder: string): Promise<Engines> {
  const stores = await startBehindProxy('postgres', { folder: join(folder, 'postgres') })
  return { stores, log: name === 'postgres' ? stores : await startBehindProxy(name, { folder: join(folder, name) }) }
}

export async function stopEngines({ stores, log }: Engines): Promise<void> {
  for (const { engine, proxy } of new Set([log, stores])) {
    await proxy.close()
    await engine.kill()
  }
}

/** The log of a system, as one more client of its engine. */
export async function openLog(name: LogName, url: string, system: string): Promise<Log> {
  const options = { system, host: createNodeHost() }
  if (name === 'postgres') return (await import('@atoll/log/postgres')).createPostgresLog({ ...options, url })
  if (name === 'nats') return (await import('@atoll/log/nats')).createNatsLog({ ...options, servers: [url] })
  if (name === 'kafka')
    return (await import('@atoll/log/kafka')).createKafkaLog({
      ...options,
      brokers: [new URL(url).host],
      partitions: PARTITIONS,
      ...oneNode.kafka.log,
    })
  if (name === 'redis') return (await import('@atoll/log/redis')).createRedisLog({ ...options, url })
  return (await import('@atoll/log/rabbitmq')).createRabbitmqLog({ ...options, url })
}

/** Few, so that a run has time for every one of them. */
export const PARTITIONS = 4
