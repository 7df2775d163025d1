import { join } from 'node:path'
import { AtollError, type Host, type Logger } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import type { KafkaLogOptions } from '@atoll/log/kafka'
import type { NatsLogOptions } from '@atoll/log/nats'
import type { StoreDriver } from '@atoll/store/driver'
import type { System } from 'atoll'
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
  /** The services that will run on them, as far as it is known: `examine` says how many connections their stores take. */
  readonly services?: System['services']
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

async function openPostgresStores(url: string, { system, host, services = [] }: EngineOptions): Promise<StoreDriver> {
  const { createPostgresStores } = await import('@atoll/store/postgres')
  const withProjections = services.filter(({ projections }) => projections.length > 0)
  // A projection has a store of its own, and queries read it together with that of its service.
  const stores = services.length + withProjections.reduce((sum, { projections }) => sum + projections.length, 0)
  return createPostgresStores({ url, system, host, expected: { stores, readers: withProjections.length } })
}

/** How each engine's log is opened, by its scheme; and which client libraries npm does not install by itself. */
const logs: Readonly<Record<string, LogDriver>> = {
  postgres: { open: async (url, _, shared) => (await import('@atoll/log/postgres')).createPostgresLog({ url, ...shared }), libraries: [] },
  nats: { open: async (url, values, shared) => (await import('@atoll/log/nats')).createNatsLog({ ...natsPlace(url, values), ...shared }), libraries: ['@nats-io/jetstream', '@nats-io/transport-node'] },
  kafka: { open: async (url, values, shared) => (await import('@atoll/log/kafka')).createKafkaLog({ ...kafkaPlace(url, values), ...shared }), libraries: ['@platformatic/kafka'] },
  rabbitmq: { open: async (url, _, shared) => (await import('@atoll/log/rabbitmq')).createRabbitmqLog({ url, ...shared }), libraries: ['amqplib'] },
  redis: { open: async (url, _, shared) => (await import('@atoll/log/redis')).createRedisLog({ url, ...shared }), libraries: ['redis'] },
}

interface LogDriver {
  readonly open: (url: string, values: Values, shared: { readonly system: string; readonly host: Host; readonly logger: Logger }) => Promise<Log>
  readonly libraries: readonly string[]
}

const synonyms: Readonly<Record<string, string>> = { postgresql: 'postgres', tls: 'nats', kafkas: 'kafka', amqp: 'rabbitmq', amqps: 'rabbitmq', rediss: 'redis' }

async function openLog(url: string, { config, system, host, logger }: EngineOptions): Promise<Log> {
  const scheme = url.slice(0, url.indexOf('://'))
  const { open, libraries } = logs[synonyms[scheme] ?? scheme]! // the setting's schema knows no others
  try {
    return await open(url, config.values, { system, host, logger })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error
    throw new AtollError('CONFIG_INVALID', `log.url names an engine whose client library is not installed: npm install ${libraries.join(' ')}`, { cause: error })
  }
}

/** `nats://a:4222,b:4222` names several servers of one engine, each as `tls://…` if the first is. */
function natsPlace(url: string, { 'log.replicas': replicas, 'log.monitoring': monitoring }: Values): Pick<NatsLogOptions, 'servers' | 'replicas' | 'monitoring'> {
  const [scheme, rest] = url.split('://', 2) as [string, string] // the setting's schema asks for it
  const servers = rest.split(',').map((server) => `${scheme}://${server}`)
  return { servers, ...(replicas !== undefined && { replicas }), ...(monitoring && { monitoring }) }
}

/** `kafkas://user:password@a:9092,b:9092?mechanism=SCRAM-SHA-512` logs in over TLS; without `mechanism` it is PLAIN. */
function kafkaPlace(url: string, { 'log.replicas': replicas, 'runtime.partitions': partitions = defaultOptions.partitions }: Values): Pick<KafkaLogOptions, 'brokers' | 'partitions' | 'sasl' | 'tls' | 'replicas'> {
  const [, scheme, user, password, hosts, mechanism] = /^(kafkas?):\/\/(?:([^:@/]*):([^@/]*)@)?([^/?]+)\/?(?:\?mechanism=(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512))?$/.exec(url) ?? []
  if (hosts === undefined) throw new AtollError('CONFIG_INVALID', 'log.url: expected kafka://<host>:<port>,… or kafkas://<user>:<password>@<host>:<port>,…?mechanism=SCRAM-SHA-512')
  const brokers = hosts.split(',')
  // The pattern takes no other mechanism, and a user only with a password.
  const sasl = user === undefined ? undefined : { mechanism: (mechanism ?? 'PLAIN') as ScramOrPlain, username: decodeURIComponent(user), password: decodeURIComponent(password!) }
  return { brokers, partitions, ...(sasl && { sasl }), ...(scheme === 'kafkas' && { tls: {} }), ...(replicas !== undefined && { replicas }) }
}

type ScramOrPlain = Extract<NonNullable<KafkaLogOptions['sasl']>, { username: string }>['mechanism']
