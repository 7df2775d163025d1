import { join, resolve } from 'node:path'
import { AtollError, type Examination, type Host, type Logger } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import type { KafkaLogOptions } from '@atoll/log/kafka'
import type { NatsLogOptions } from '@atoll/log/nats'
import type { StoreDriver } from '@atoll/store/driver'
import type { System } from 'atoll'
import { defaultOptions } from 'atoll/runtime'
import type { Config } from './config/config.ts'
import type { Values } from './config/settings.ts'
import { maskSecrets } from './secrets.ts'
import { assertNotAnothers, noteSystem } from './note.ts'
import { hasLog, logToTakeBack } from './start.ts'

// The one place that knows which driver is behind which address. Drivers are loaded when they are asked for: their
// client libraries are installed by those who use them.

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
  /** Where its module is, if it is to run: noted in the folder with its stores before they are made. */
  readonly module?: string
  readonly host: Host
  readonly logger: Logger
  /**
   * The services that will run on them, as far as it is known: `examine` says how many connections their stores take.
   */
  readonly services?: System['services']
}

/**
 * Opens what `store.url` and `log.url` name. Rejects with UNAVAILABLE if an engine cannot be reached; CONFIG_INVALID if
 * its library is not installed; COMMAND_USAGE for a folder of another system. A start that is refused closes them by
 * `closeRefused`.
 */
export async function openEngines(options: EngineOptions): Promise<Engines & { closeRefused(): Promise<void> }> {
  const { folder, logUrl } = placesOf(options)
  let takeBack = (): void => undefined
  let isRefused = false
  const engines = await opened(async (closing) => {
    if (folder !== undefined) {
      closing.unshift(await lock(folder))
      assertNotAnothers(folder, options.system)
      if (options.module !== undefined) noteSystem(folder, { module: options.module, system: options.system })
    }
    // checked by placesOf
    if (logUrl === 'embedded') takeBack = logToTakeBack(folder!, { services: options.services ?? [] })
    closing.unshift(() => isRefused && takeBack())
    // checked by placesOf
    const log = await (logUrl === 'embedded' ? openEmbeddedLog(folder!, options.host) : openLog(logUrl, options))
    closing.unshift(() => log.close())
    const stores = await openStores(options)
    closing.unshift(() => stores.close())
    return { stores, log, folder }
  })
  return { ...engines, closeRefused: () => ((isRefused = true), engines.close()) }
}

/**
 * The same, to look at a system that has been there before: CONFIG_INVALID, with nothing made by looking, if the store
 * of one of its services is not where the configuration says.
 */
export async function openEnginesToLook(
  options: EngineOptions & Required<Pick<EngineOptions, 'services'>>,
): Promise<Engines> {
  const { folder, logUrl } = placesOf(options)
  if (folder !== undefined && logUrl !== 'embedded' && hasLog(folder)) {
    throw new AtollError(
      'CONFIG_INVALID',
      `the stores in ${resolve(folder)} (store.url) belong to the log that lies there with them, and not to ${maskSecrets(logUrl)} (log.url). Give the configuration that the system runs with: --config <file>, ATOLL_STORE_URL and ATOLL_LOG_URL; or look into that folder with --data`,
    )
  }
  const stores = await openStores(options)
  try {
    await assertThere(stores, options)
  } finally {
    await stores.close()
  }
  return openEngines(options)
}

async function assertThere(
  stores: StoreDriver,
  { config: { values, origins }, services, system }: EngineOptions & Required<Pick<EngineOptions, 'services'>>,
): Promise<void> {
  const there = await Promise.all(services.map(({ name }) => stores.exists(name)))
  const missing = services.filter((_, index) => !there[index]).map(({ name }) => name)
  if (missing.length === 0) return
  const url = values['store.url'] ?? defaultStoreUrl(system)
  const origin = origins['store.url'] ?? 'the default'
  const remedy =
    folderOf(url) !== undefined
      ? 'If each service has a folder of its own, ask the process that has it (--data <its folder>)'
      : 'If nothing has run there yet, there is nothing to see'
  throw new AtollError(
    'CONFIG_INVALID',
    `there is no store of ${missing.join(', ')} in ${placeOf(values, system).store} (store.url, ${origin}), so nothing can be said of what it holds. Give the configuration that ${missing.length === 1 ? 'this service runs' : 'these services run'} with: --config <file>, or ATOLL_STORE_URL. ${remedy}`,
  )
}

/** Opens the log alone, of a system whose log is an engine. */
export async function openLogAlone(options: EngineOptions): Promise<Pick<Engines, 'log' | 'close'>> {
  const { logUrl } = placesOf(options)
  return opened(async (closing) => {
    const log = await openLog(logUrl, options)
    closing.unshift(() => log.close())
    return { log }
  })
}

/**
 * What the settings of the engines are found to be. What lies in a folder need not be there, and is not made by asking.
 */
export async function examineEngines(
  options: EngineOptions,
): Promise<{ readonly stores: Examination; readonly log: Examination }> {
  const { logUrl } = placesOf(options)
  const engines = await opened(async (closing) => {
    const log = logUrl === 'embedded' ? undefined : await openLog(logUrl, options)
    if (log) closing.unshift(() => log.close())
    const stores = await openStores(options)
    closing.unshift(() => stores.close())
    return { log, stores }
  })
  try {
    const stores = await engines.stores.examine()
    return { stores, log: engines.log ? await engines.log.examine() : (await import('@atoll/sqlite')).examineSqlite() }
  } finally {
    await engines.close()
  }
}

/** What `open` opens, and how to close it; what it had opened when it failed is closed again. */
async function opened<T>(open: (closing: (() => unknown)[]) => Promise<T>): Promise<T & { close(): Promise<void> }> {
  const closing: (() => unknown)[] = []
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0)) await end()
  }
  try {
    return { ...(await open(closing)), close }
  } catch (error) {
    await close().catch(() => undefined) // the first error is the one to tell
    throw error
  }
}

function placesOf({ config: { values }, system }: EngineOptions): {
  readonly folder: string | undefined
  readonly logUrl: string
} {
  const folder = folderOf(values['store.url'] ?? defaultStoreUrl(system))
  const logUrl = values['log.url'] ?? 'embedded'
  if (logUrl === 'embedded' && folder === undefined) {
    throw new AtollError(
      'CONFIG_INVALID',
      'log.url is embedded, which goes with stores in a folder of this machine; give the address of an engine (ATOLL_LOG_URL), since store.url is one',
    )
  }
  return { folder, logUrl }
}

/** Where stores and log of a system are, for people and for comparing: without passwords. */
export function placeOf(values: Values, system: string): { readonly store: string; readonly log: string } {
  const url = values['store.url'] ?? defaultStoreUrl(system)
  const folder = folderOf(url)
  return {
    store: folder === undefined ? maskSecrets(url) : `sqlite:${resolve(folder)}`,
    log: maskSecrets(values['log.url'] ?? 'embedded'),
  }
}

/** The folder in which stores lie, where a `store.url` names one. */
export function folderOf(storeUrl: string): string | undefined {
  return /^sqlite:(.*)$/.exec(storeUrl)?.[1]
}

/** Refuses, with COMMAND_USAGE, what SQLite takes for other things than a folder. */
export function assertFolderName(folder: string, option: string): string {
  if (folder !== '' && !/^(:memory:|file:)/.test(folder)) return folder
  throw new AtollError(
    'COMMAND_USAGE',
    `${option} is '${folder}', which names no folder, and data lie in one; give its path. A system in memory is a world, for tests (@atoll/testkit)`,
  )
}

/** Where the stores of a system are, if nothing says anything else. */
export function defaultStoreUrl(system: string): string {
  return `sqlite:${join('data', system)}`
}

async function lock(folder: string): Promise<() => void> {
  const { openDataFolder } = await import('@atoll/sqlite')
  const held = openDataFolder(folder)
  return () => held.close()
}

function openStores(options: EngineOptions): Promise<StoreDriver> {
  const url = options.config.values['store.url'] ?? defaultStoreUrl(options.system)
  const folder = folderOf(url)
  return folder === undefined ? openPostgresStores(url, options) : openSqliteStores(folder, options.host)
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
  postgres: {
    open: async (url, _, shared) => (await import('@atoll/log/postgres')).createPostgresLog({ url, ...shared }),
    libraries: [],
  },
  nats: {
    open: async (url, values, shared) =>
      (await import('@atoll/log/nats')).createNatsLog({ ...natsPlace(url, values), ...shared }),
    libraries: ['@nats-io/jetstream', '@nats-io/transport-node'],
  },
  kafka: {
    open: async (url, values, shared) =>
      (await import('@atoll/log/kafka')).createKafkaLog({ ...kafkaPlace(url, values), ...shared }),
    libraries: ['@platformatic/kafka'],
  },
  rabbitmq: {
    open: async (url, { 'log.monitoring': monitoring }, shared) =>
      (await import('@atoll/log/rabbitmq')).createRabbitmqLog({ url, ...(monitoring && { monitoring }), ...shared }),
    libraries: ['amqplib'],
  },
  redis: {
    open: async (url, _, shared) => (await import('@atoll/log/redis')).createRedisLog({ url, ...shared }),
    libraries: ['redis'],
  },
}

interface LogDriver {
  readonly open: (
    url: string,
    values: Values,
    shared: { readonly system: string; readonly host: Host; readonly logger: Logger },
  ) => Promise<Log>
  readonly libraries: readonly string[]
}

const synonyms: Readonly<Record<string, string>> = {
  postgresql: 'postgres',
  tls: 'nats',
  kafkas: 'kafka',
  amqp: 'rabbitmq',
  amqps: 'rabbitmq',
  rediss: 'redis',
}

async function openLog(url: string, { config, system, host, logger }: EngineOptions): Promise<Log> {
  const scheme = url.slice(0, url.indexOf('://'))
  const { open, libraries } = logs[synonyms[scheme] ?? scheme]! // the setting's schema knows no others
  try {
    return await open(url, config.values, { system, host, logger })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error
    throw new AtollError(
      'CONFIG_INVALID',
      `log.url names an engine whose client library is not installed: npm install ${libraries.join(' ')}`,
      { cause: error },
    )
  }
}

/** `nats://a:4222,b:4222` names several servers of one engine, each as `tls://…` if the first is. */
function natsPlace(
  url: string,
  { 'log.replicas': replicas, 'log.monitoring': monitoring }: Values,
): Pick<NatsLogOptions, 'servers' | 'replicas' | 'monitoring'> {
  const [scheme, rest] = url.split('://', 2) as [string, string] // the setting's schema asks for it
  const servers = rest.split(',').map((server) => `${scheme}://${server}`)
  return { servers, ...(replicas !== undefined && { replicas }), ...(monitoring && { monitoring }) }
}

/** `kafkas://user:password@a:9092,b:9092?mechanism=SCRAM-SHA-512` logs in over TLS; without `mechanism` it is PLAIN. */
function kafkaPlace(
  url: string,
  { 'log.replicas': replicas, 'runtime.partitions': partitions = defaultOptions.partitions }: Values,
): Pick<KafkaLogOptions, 'brokers' | 'partitions' | 'sasl' | 'tls' | 'replicas'> {
  const [, scheme, user, password, hosts, mechanism] =
    /^(kafkas?):\/\/(?:([^:@/]*):([^@/]*)@)?([^/?]+)\/?(?:\?mechanism=(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512))?$/.exec(
      url,
    ) ?? []
  if (hosts === undefined)
    throw new AtollError(
      'CONFIG_INVALID',
      'log.url: expected kafka://<host>:<port>,… or kafkas://<user>:<password>@<host>:<port>,…?mechanism=SCRAM-SHA-512',
    )
  const brokers = hosts.split(',')
  // The pattern takes no other mechanism, and a user only with a password.
  const sasl =
    user === undefined
      ? undefined
      : {
          mechanism: (mechanism ?? 'PLAIN') as ScramOrPlain,
          username: decodeURIComponent(user),
          password: decodeURIComponent(password!),
        }
  return {
    brokers,
    partitions,
    ...(sasl && { sasl }),
    ...(scheme === 'kafkas' && { tls: {} }),
    ...(replicas !== undefined && { replicas }),
  }
}

type ScramOrPlain = Extract<NonNullable<KafkaLogOptions['sasl']>, { username: string }>['mechanism']
