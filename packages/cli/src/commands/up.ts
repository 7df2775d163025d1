import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createRegistry, registryDiscovery, type Discovery } from '@atoll/calls'
import { AtollError, errorCodes, silentLogger, type ErrorCode } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { openDataFolder } from '@atoll/sqlite'
import { closeAll } from '../closing.ts'
import { loadConfig, type Config } from '../config/config.ts'
import { listenForCommands } from '../control/server.ts'
import { askShared } from '../control/shared.ts'
import { readDigits } from '../digits.ts'
import { assertFolderName, defaultStoreUrl, folderOf, placeOf } from '../engines.ts'
import { loadSystemOf } from '../load.ts'
import { defaultLineLimits } from '../logging/lines.ts'
import { createLogger } from '../logging/logger.ts'
import { standardError } from '../logging/standard-error.ts'
import { assertNotAnothers, noteSystem } from '../note.ts'
import { maskSecrets } from '../secrets.ts'
import { toVisible } from '../visible.ts'
import { toldToStop } from './told-to-stop.ts'

export interface UpOptions {
  config?: string
  data?: string
  port?: string
  instances: string
  json?: boolean
}

/**
 * `atoll up`: a process for each service, any number of times, and one for the gateway, on this machine, until it is
 * told to stop. They find each other at a registry in this process, trust each other by a secret that is made for them,
 * and other commands find them by its data folder. One that ends is started again, unless what is configured cannot
 * work: then all of it ends, with what that process said.
 */
export async function up(module: string | undefined, options: UpOptions): Promise<void> {
  const startedMs = performance.now()
  const told = toldToStop()
  const config = loadConfig({
    file: options.config,
    options: { '--port': { key: 'gateway.port', text: options.port } },
  })
  const count = instancesOf(options.instances)
  const { system, path } = await loadSystemOf(module, config)
  assertFits(config)
  const data = assertFolderName(options.data ?? join('data', system.name), '--data')
  assertNotAnothers(data, system.name)
  const say = (text: string, facts: object): void => console.log(options.json ? JSON.stringify(facts) : text)
  const closing: (() => unknown)[] = []
  try {
    const folder = openDataFolder(data)
    closing.unshift(() => folder.close())
    const host = createNodeHost()
    // Only these processes have it: it lies in no file, and the environment of a process is shown to nobody but its own
    // account.
    const secret = config.values['calls.secret'] ?? randomBytes(SECRET_BYTES).toString('hex')
    const registry = createRegistry({ host, logger: createLogger('warn'), secret })
    const { url } = await registry.listen({ port: 0, host: '127.0.0.1' })
    closing.unshift(() => registry.close())
    const fleet = { ...config, values: { ...config.values, 'discovery.registry': url, 'calls.secret': secret } }
    noteSystem(data, { module: path, system: system.name })
    closing.unshift(
      await listenForCommands(
        (request, signal) => askShared(system, fleet, request, signal, createLogger('error')),
        data,
        placeOf(config.values, system.name),
      ),
    )

    const shared = { path, config: options.config, registry: url, secret }
    const instances = Array.from({ length: count }, (_, index) => index + 1)
    const services = system.services.flatMap(({ name }) =>
      instances.map((instance) => new Child(`${name}-${instance}`, ['--service', name], shared)),
    )
    const gateway = new Child(
      'gateway',
      ['--gateway', ...(options.port === undefined ? [] : ['--port', options.port])],
      shared,
    )
    const children = [...services, gateway]
    closing.unshift(
      () => gateway.stop(),
      () => Promise.all(services.map((child) => child.stop())),
    )
    for (const child of children) child.start()
    const failed = Promise.race(children.map((child) => child.failed))
    const discovery = registryDiscovery({ host, logger: silentLogger, url, secret, system: system.name })
    closing.unshift(() => discovery.close())
    // Whoever reads that it is ready calls at once: so not before the registry has told of somebody for each service.
    const ready = Promise.all(children.map((child) => child.ready)).then(async (lines) => {
      await known(
        discovery,
        system.services.map(({ name }) => name),
      )
      return lines
    })
    const first = await Promise.race([told, ready, failed])
    if (first) {
      const seconds = (performance.now() - startedMs) / 1_000
      const gatewayUrl = first.at(-1)?.gatewayUrl
      const where = relative(process.cwd(), data) || data
      say(
        `${system.name} ready in ${seconds.toFixed(1)} s: ${children.length} processes, gateway at ${gatewayUrl}. Ctrl-C drains and stops\nlook after it from another terminal: atoll ledger --data ${where}`,
        {
          ready: true,
          system: system.name,
          gatewayUrl,
          processes: children.length,
          data: where,
          seconds,
          pid: process.pid,
        },
      )
      await Promise.race([told, failed])
    }
    if (!options.json) console.log('draining …')
  } finally {
    await closeAll(closing)
  }
  say('stopped; everything that was acknowledged is kept', { stopped: true })
}

/** Resolves when there is an instance of each service. */
function known(discovery: Discovery, services: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (discovery.problem !== undefined || services.some((name) => discovery.instances(name).length === 0)) return
      unwatch()
      resolve()
    }
    const unwatch = discovery.watch(look)
    look()
  })
}

function instancesOf(text: string): number {
  const count = readDigits(text)
  if (count !== undefined && count >= 1 && count <= INSTANCES_MAX) return count
  throw new AtollError(
    'CONFIG_INVALID',
    `--instances: expected a whole number from 1 to ${INSTANCES_MAX}, not ${JSON.stringify(text)}`,
  )
}

/** What every process would refuse, or what they would take from each other. */
function assertFits({ values, origins }: Config): void {
  const log = values['log.url'] ?? 'embedded'
  if (log === 'embedded' || folderOf(values['store.url'] ?? defaultStoreUrl('')) !== undefined) {
    const which = log === 'embedded' ? `log.url is embedded, a log that` : `store.url names a folder, which`
    throw new AtollError(
      'CONFIG_INVALID',
      `${which} one process has for itself, and atoll up starts several. Give engines that they can share: store.url postgres://… and log.url (ATOLL_STORE_URL, ATOLL_LOG_URL); or run all of it in one process, with atoll dev`,
    )
  }
  const elsewhere = (['discovery.static', 'discovery.dns'] as const).find((key) => values[key] !== undefined)
  if (elsewhere === undefined) return
  throw new AtollError(
    'CONFIG_INVALID',
    `${elsewhere} (${origins[elsewhere]}) says where instances are, and those that atoll up starts find each other at a registry of its own: leave it out, or start each process with atoll start`,
  )
}

/** What `atoll start --json` says when it is ready. */
interface ReadyLine {
  readonly gatewayUrl?: string
}

/** One process of the system. Its log goes to ours, line by line, under its name. */
class Child {
  /** When it is ready for the first time. */
  readonly ready: Promise<ReadyLine>
  /**
   * Rejects, with what it said, when it has ended because what is configured cannot work: starting it again would
   * change nothing.
   */
  readonly failed: Promise<never>
  readonly #name: string
  readonly #args: readonly string[]
  readonly #env: NodeJS.ProcessEnv
  readonly #tellReady: (line: ReadyLine) => void
  readonly #tellFailed: (error: AtollError) => void
  /** What it has said to people before it was ready: if that is why it ends, it is told once, in the end. */
  #held: string[] | undefined
  #process: ChildProcess | undefined
  #stopping = false
  #restarts = 0
  #readySinceMs: number | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(
    name: string,
    args: readonly string[],
    { path, config, registry, secret }: { path: string; config: string | undefined; registry: string; secret: string },
  ) {
    this.#name = name
    this.#args = [
      MAIN,
      'start',
      path,
      ...args,
      '--instance',
      name,
      '--json',
      ...(config === undefined ? [] : ['--config', config]),
    ]
    this.#env = {
      ATOLL_LOGGING_LEVEL: 'warn',
      ...process.env,
      ATOLL_DISCOVERY_REGISTRY: registry,
      ATOLL_CALLS_SECRET: secret,
    }
    const ready = Promise.withResolvers<ReadyLine>()
    this.ready = ready.promise
    this.#tellReady = ready.resolve
    const failed = Promise.withResolvers<never>()
    this.failed = failed.promise
    this.#tellFailed = failed.reject
  }

  start(): void {
    // In a group of its own: Ctrl-C is for us, and we tell them in order. Nothing is said over the channel; it ends
    // with us, however we end.
    const child = spawn(process.execPath, this.#args, {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: this.#env,
      detached: true,
    })
    this.#process = child
    this.#held = []
    createInterface(child.stdout!).on('line', (line) => this.#hear(line))
    createInterface(child.stderr!).on('line', (line) => this.#pass(line)) // both are pipes
    child.once('close', (code, signal) => this.#ended(code, signal))
  }

  /** Lets it drain, and resolves when it has ended. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#timer)
    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'close')
    child.kill('SIGTERM')
    await ended
  }

  #hear(line: string): void {
    const said = saidIn(line)
    if (!said) return this.#pass(line)
    if (!said.ready) return
    this.#readySinceMs ??= performance.now()
    this.#release()
    this.#tellReady(said)
  }

  #pass(line: string): void {
    const isLogged = line.startsWith('{')
    if (this.#held === undefined || isLogged)
      return standardError.push(`${this.#name}: ${toVisible(maskSecrets(line, defaultLineLimits.lineCharsMax))}`)
    this.#held.push(line)
    if (this.#held.length > HELD_LINES_MAX) this.#release()
  }

  #release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const line of held) this.#pass(line)
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#stopping) return
    if (code === NOT_CONFIGURED) return this.#tellFailed(this.#failure())
    this.#release()
    if (this.#readySinceMs !== undefined && performance.now() - this.#readySinceMs >= STEADY_MS) this.#restarts = 0
    this.#readySinceMs = undefined
    const delayMs = Math.min(RESTART_MS * 2 ** this.#restarts++, RESTART_MS_MAX)
    standardError.push(`${this.#name}: ended with ${signal ?? code}; it is started again in ${delayMs} ms`)
    this.#timer = setTimeout(() => this.start(), delayMs)
  }

  #failure(): AtollError {
    const said = (this.#held ?? []).join('\n')
    const [, code = '', reason = said] = /^([A-Z_]+): (.*)$/ms.exec(said) ?? []
    return new AtollError(
      Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'CONFIG_INVALID',
      `${this.#name} cannot run as it is configured: ${reason || 'it did not say why'}`,
    ) // looked up just now
  }
}

/**
 * What `atoll start --json` said, that it is ready or has stopped, if it was that: the services of a process may print
 * there, too.
 */
function saidIn(line: string): (ReadyLine & { ready?: boolean }) | undefined {
  try {
    const said: unknown = JSON.parse(line)
    const isOurs = typeof said === 'object' && said !== null && ('ready' in said || 'stopped' in said)
    return isOurs ? (said as ReadyLine & { ready?: boolean }) : undefined // as it says it
  } catch {
    return undefined
  }
}

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))
/**
 * Before the first restart, and the longest; twice as long each time, until it has been ready for {@link STEADY_MS}.
 */
const RESTART_MS = 200
const RESTART_MS_MAX = 10_000
/**
 * One that ends sooner after it was ready has not come back for good: it would be started over and over, each time as
 * if it were the first.
 */
const STEADY_MS = 60_000
const HELD_LINES_MAX = 200
/** Processes for each service: more are not for one machine. */
const INSTANCES_MAX = 100
/** Of the secret that it makes for its processes. */
const SECRET_BYTES = 32
/** Exit code of a process that was refused what it was told, or how it is configured. */
const NOT_CONFIGURED = 2
