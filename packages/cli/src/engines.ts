import { join } from 'node:path'
import { AtollError, type Host, type Logger } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import type { StoreDriver } from '@atoll/store/driver'
import { defaultOptions } from 'atoll/runtime'
import type { Config } from './config/config.ts'
import type { Values } from './config/settings.ts'

// The one place that knows which driver is behind which address. Drivers are loaded when they are asked for: their client libraries are
// installed by those who use them.

/** Stores and log of a process. */
export interface Engines {
  readonly stores: StoreDriver
  readonly log: Log
  /** The folder that this process has for itself, if its stores lie in one. */
  readonly folder: string | undefined
  /** Closes what was opened. Idempotent drivers make it so. */
  close(): Promise<void>
}

export interface EngineOptions {
  readonly config: Config
  /** The name of the system. */
  readonly system: string
  readonly host: Host
  readonly logger: Logger
}

/** Opens what `store.url` and `log.url` name. Rejects with UNAVAILABLE if an engine cannot be reached; CONFIG_INVALID if its library is not installed. */
export async function openEngines(options: EngineOptions): Promise<Engines> {
  const { values } = options.config
  const storeUrl = values['store.url'] ?? `sqlite:${join('data', options.system)}`
  const logUrl = values['log.url'] ?? 'embedded'
  const folder = /^sqlite:(.*)$/.exec(storeUrl)?.[1]
  if (logUrl === 'embedded' && folder === undefined) {
    throw new AtollError('CONFIG_INVALID', 'log.url is embedded, which goes with stores in a folder of this machine; give the address of an engine (ATOLL_LOG_URL), since store.url is one')
  }
  const closing: (() => unknown)[] = []
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0)) await end()
  }
  try {
    if (folder !== undefined) closing.unshift(await lock(folder))
    const log = await (logUrl === 'embedded' ? openEmbeddedLog(folder!, options.host) : openLog(logUrl, options)) // checked above
    closing.unshift(() => log.close())
    const stores = await (folder === undefined ? openPostgresStores(storeUrl, options) : openSqliteStores(folder, options.host))
    closing.unshift(() => stores.close())
    return { stores, log, folder, close }
  } catch (error) {
    await close().catch(() => undefined) // the first error is the one to tell
    throw error
  }
}

async function lock(folder: string): Promise<() => void> {
  const { openDataFolder } = await import('@atoll/sqlite')
  const held = openDataFolder(folder)
  return () => held.close()
}

async function openEmbeddedLog(folder: string, host: Host): Promise<Log> {
  const { createEmbeddedLog } = await import('@atoll/log/embedded')
  return createEmbeddedLog({ file: join(folder, 'log.db'), host })
}

async function openSqliteStores(folder: string, host: Host): Promise<StoreDriver> {
  const { createSqliteStores } = await import('@atoll/store/sqlite')
  return createSqliteStores({ folder, host })
}

async function openPostgresStores(url: string, { system, host }: EngineOptions): Promise<StoreDriver> {
  const { createPostgresStores } = await import('@atoll/store/postgres')
  return createPostgresStores({ url, system, host })
}

/** How each engine's log is made; by its scheme. */
const logs: Readonly<Record<string, LogDriver>> = {
  postgres: { module: '@atoll/log/postgres', create: 'createPostgresLog', place: (url) => ({ url }), libraries: [] },
  nats: { module: '@atoll/log/nats', create: 'createNatsLog', place: natsPlace, libraries: ['@nats-io/jetstream', '@nats-io/transport-node'] },
  kafka: { module: '@atoll/log/kafka', create: 'createKafkaLog', place: kafkaPlace, libraries: ['@platformatic/kafka'] },
  rabbitmq: { module: '@atoll/log/rabbitmq', create: 'createRabbitmqLog', place: (url) => ({ url }), libraries: ['amqplib'] },
  redis: { module: '@atoll/log/redis', create: 'createRedisLog', place: (url) => ({ url }), libraries: ['redis'] },
}

interface LogDriver {
  readonly module: string
  readonly create: string
  /** What its options say of the engine. */
  readonly place: (url: string, values: Values) => object
  /** Client libraries that the driver needs, and npm does not install by itself. */
  readonly libraries: readonly string[]
}

const synonyms: Readonly<Record<string, string>> = { postgresql: 'postgres', tls: 'nats', kafkas: 'kafka', amqp: 'rabbitmq', amqps: 'rabbitmq', rediss: 'redis' }

async function openLog(url: string, { config, system, host, logger }: EngineOptions): Promise<Log> {
  const scheme = url.slice(0, url.indexOf('://'))
  const { module, create, place, libraries } = logs[synonyms[scheme] ?? scheme]! // the setting's schema knows no others
  const entry = await load(module, libraries)
  const open = entry[create] as (options: object) => Log | Promise<Log> // each driver's entry has it, with options of this form
  return open({ ...place(url, config.values), system, host, logger })
}

async function load(module: string, libraries: readonly string[]): Promise<Record<string, unknown>> {
  try {
    return (await import(module)) as Record<string, unknown>
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error
    const remedy = libraries.length > 0 ? `its client library is not installed: npm install ${libraries.join(' ')}` : 'this version has no driver for it'
    throw new AtollError('CONFIG_INVALID', `log.url names an engine that cannot be used: ${remedy}`, { cause: error })
  }
}

/** `nats://a:4222,b:4222` names several servers of one engine, each as `tls://…` if the first is. */
function natsPlace(url: string, { 'log.replicas': replicas, 'log.monitoring': monitoring }: Values): object {
  const [scheme, rest] = url.split('://', 2) as [string, string] // the setting's schema asks for it
  const servers = rest.split(',').map((server) => `${scheme}://${server}`)
  return { servers, ...(replicas !== undefined && { replicas }), ...(monitoring && { monitoring }) }
}

/** `kafkas://user:password@a:9092,b:9092?mechanism=SCRAM-SHA-512` logs in over TLS; without `mechanism` it is PLAIN. */
function kafkaPlace(url: string, { 'log.replicas': replicas, 'runtime.partitions': partitions = defaultOptions.partitions }: Values): object {
  const [, scheme, user, password, hosts, mechanism = 'PLAIN'] = /^(kafkas?):\/\/(?:([^:@/]*):([^@/]*)@)?([^/?]*)\/?(?:\?mechanism=([A-Z0-9-]+))?$/.exec(url) ?? []
  if (hosts === undefined) throw new AtollError('CONFIG_INVALID', 'log.url: expected kafka://<host>:<port>,… or kafkas://<user>:<password>@<host>:<port>,…?mechanism=SCRAM-SHA-512')
  const sasl = user === undefined ? {} : { sasl: { mechanism, username: decodeURIComponent(user), password: decodeURIComponent(password!) } } // they come together
  return { brokers: hosts.split(','), partitions, ...sasl, ...(scheme === 'kafkas' && { tls: {} }), ...(replicas !== undefined && { replicas }) }
}
