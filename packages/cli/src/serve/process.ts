import { networkInterfaces } from 'node:os'
import {
  assertGuarded,
  createCallClient,
  createCallServer,
  dnsDiscovery,
  fixedDiscovery,
  registerInstance,
  registryDiscovery,
  searchServices,
  type CallClient,
  type Discovery,
  type Search,
  type Trust,
} from '@atoll/calls'
import { createGateway, type Gateway } from '@atoll/gateway'
import { AtollError, type Host, type Logger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import type { System } from 'atoll'
import {
  createFaultLogger,
  startSystem,
  type Attribution,
  type Ports,
  type Problem,
  type RuntimeOptions,
} from 'atoll/runtime'
import { closeAll } from '../closing.ts'
import type { Config } from '../config/config.ts'
import type { Values } from '../config/settings.ts'
import { answer, type ControlRequest } from '../control/protocol.ts'
import { clearForStart, diagnose } from '../doctor/diagnosis.ts'
import { openEngines, type Engines } from '../engines.ts'
import { readGateway, type GatewaySettings } from '../gateway.ts'
import { LateSystem } from './late.ts'
import { callLimits, gatewayLimits } from './limits.ts'
import { noLog, noStores } from './nothing.ts'

export interface ProcessOptions {
  readonly config: Config
  /** Absolute path of the system's module; see `Noted`. */
  readonly module: string
  /** The services that run here; may be none. */
  readonly services: readonly string[]
  /** Names this process. */
  readonly instance: string
  /** Whether the gateway listens here, and what it should be like. */
  readonly gateway: { readonly settings: GatewaySettings | undefined } | undefined
  readonly logger: Logger
  /** Knows on whose behalf code runs. */
  readonly attribution?: Attribution
}

/** Some services of a system, its gateway, or both, in this process; others elsewhere. */
export interface Process {
  readonly running: LateSystem
  /** Where other processes call the services that run here. */
  readonly callsUrl: string | undefined
  /** Where it listens for that; another address, if others have to call it by one that leads here. */
  readonly callsBoundUrl: string | undefined
  readonly gatewayUrl: string | undefined
  /** The data folder, once the services run, if they have one for themselves. */
  readonly folder: () => string | undefined
  /**
   * Resolves when the services run; rejects with what will not pass by waiting. An engine that cannot be reached is
   * waited for.
   */
  readonly started: Promise<void>
  /**
   * Turns callers away, drains, and closes everything. Idempotent. Resolves with whether all work under way came to its
   * end.
   */
  stop(): Promise<boolean>
}

/**
 * Starts what should run in this process. It listens at once, and is not ready until its services run. PORT_TAKEN,
 * CONFIG_INVALID if it cannot; with everything closed again.
 */
export async function startProcess(system: System, options: ProcessOptions): Promise<Process> {
  const launch = new Launch(system, options)
  try {
    return await launch.launch()
  } catch (error) {
    await closeAll(launch.closing).catch(() => undefined) // the first error is the one to tell
    throw error
  }
}

class Launch {
  readonly #system: System
  readonly #options: ProcessOptions
  readonly #values: Values
  readonly #host: Host
  readonly #running: LateSystem
  #search: Search | undefined
  #calls: CallClient | undefined
  #folder: string | undefined
  readonly #stop = new AbortController()
  /** What must be closed in the end, in this order. */
  readonly closing: (() => unknown)[] = []

  constructor(system: System, options: ProcessOptions) {
    this.#system = system
    this.#options = options
    this.#values = options.config.values
    this.#host = createNodeHost()
    this.#running = new LateSystem(system, () => this.#problems())
  }

  async launch(): Promise<Process> {
    const { gateway, logger, services } = this.#options
    const shared = { host: this.#host, logger, secret: this.#values['calls.secret'] }
    // The runtime's timers do not keep a process alive; one at work should be.
    const keepAlive = setInterval(() => {}, 2 ** 30)
    this.closing.unshift(() => clearInterval(keepAlive))
    assertFits(this.#system, this.#options)

    const limits = callLimits(this.#values)
    const discovery = this.#createDiscovery()
    this.closing.unshift(() => discovery.close())
    const search = searchServices({ ...shared, discovery, services: gateway ? this.#routedElsewhere : [] })
    this.#search = search
    this.closing.unshift(() => search.close())
    const calls = createCallClient(this.#system, { ...shared, discovery, limits: limits.client })
    this.#calls = calls
    this.closing.unshift(() => calls.close())
    const server =
      services.length > 0
        ? createCallServer(this.#running, {
            ...shared,
            ...trustOf(this.#values),
            limits: limits.server,
            admin: (verb, body, signal) => this.#administer(verb, body, signal),
          })
        : undefined
    const listening = server && (await this.#listen(server))
    const callsUrl = listening?.url
    const front = gateway && this.#createGateway(gateway.settings)
    if (front) this.closing.unshift(() => front.close({ drainMs: 0 }))
    const at = { port: this.#values['gateway.port'] ?? 4_000, host: this.#values['gateway.host'] ?? LOOPBACK }
    const gatewayUrl = front && (await front.listen(at)).url
    const registration = callsUrl === undefined ? undefined : this.#register(callsUrl)

    const started = this.#start({
      host: this.#host,
      logger,
      attribution: this.#options.attribution,
      calls,
      stores: noStores,
      log: noLog,
    })
    started.catch(() => undefined) // whoever started this process waits for it, too
    let stopping: Promise<boolean> | undefined
    const stop = async (): Promise<boolean> => {
      const drainMs = this.#values.drainMs ?? 10_000
      this.#stop.abort()
      this.#running.stepBack()
      server?.refuse()
      await registration?.leave()
      await started.catch(() => undefined)
      // who balances hears of it, and is answered meanwhile
      if (front) await new Promise<void>((resolve) => setTimeout(resolve, LINGER_MS))
      const isDrained = await this.#drain(drainMs, {
        'requests at the gateway': (leftMs) => front?.close({ drainMs: leftMs }),
        'the services': (leftMs) => this.#running.stop({ drainMs: leftMs }),
        'calls of other processes': (leftMs) => server?.close({ drainMs: leftMs }),
      })
      await closeAll(this.closing)
      return isDrained
    }
    return {
      running: this.#running,
      callsUrl,
      callsBoundUrl: listening?.boundUrl,
      gatewayUrl,
      folder: () => this.#folder,
      started,
      stop: () => (stopping ??= stop()),
    }
  }

  /**
   * Takes steps one after the other, and tells each how much time is left. Resolves with whether all was done in time.
   */
  async #drain(
    drainMs: number,
    steps: Readonly<Record<string, (leftMs: number) => Promise<void> | undefined>>,
  ): Promise<boolean> {
    const begunMs = this.#host.monotonicMs()
    const passedMs = (): number => this.#host.monotonicMs() - begunMs
    const tookMs: Record<string, number> = {}
    for (const [what, step] of Object.entries(steps)) {
      const sinceMs = passedMs()
      await step(Math.max(0, drainMs - sinceMs))
      tookMs[what] = Math.round(passedMs() - sinceMs)
    }
    const isDrained = passedMs() < Math.max(drainMs, 1)
    if (!isDrained) this.#options.logger.warn({ drainMs, tookMs }, 'the time to drain ran out')
    return isDrained
  }

  /** The configuration goes before what the system's own module says. */
  #createGateway(given: GatewaySettings | undefined): Gateway {
    const settings = readGateway(this.#system, given)(this.#running)
    const limits = { ...settings.limits, ...gatewayLimits(this.#values) }
    return createGateway(this.#running, {
      ...settings,
      limits,
      host: this.#host,
      logger: this.#options.logger,
      attribution: this.#options.attribution,
      secret: this.#values['calls.secret'],
    })
  }

  /** What keeps the process from doing its work, besides its services. */
  #problems(): readonly Problem[] {
    const problem = this.#search?.problem
    const refusing = this.#options.gateway ? this.#routedElsewhere.filter((name) => this.#calls?.isRefusedBy(name)) : []
    return [...(problem ? [problem] : []), ...refusing.map(refusalOf)]
  }

  /** The services that a gateway here needs others for. */
  get #routedElsewhere(): readonly string[] {
    const routed = this.#system.services
      .filter(({ contract }) => contract.operations.some(({ http }) => http !== undefined))
      .map(({ name }) => name)
    return this.#elsewhere.filter((name) => routed.includes(name))
  }

  /** The services that run in other processes. */
  get #elsewhere(): readonly string[] {
    return this.#system.services.map(({ name }) => name).filter((name) => !this.#options.services.includes(name))
  }

  #createDiscovery(): Discovery {
    const shared = {
      host: this.#host,
      logger: this.#options.logger,
      secret: this.#values['calls.secret'],
      system: this.#system.name,
    }
    const { 'discovery.registry': url, 'discovery.dns': template, 'discovery.static': list } = this.#values
    if (url !== undefined) return registryDiscovery({ ...shared, url })
    if (template !== undefined) return dnsDiscovery({ ...shared, template, services: this.#elsewhere })
    return fixedDiscovery(list ?? {})
  }

  async #listen(server: ReturnType<typeof createCallServer>): Promise<{ url: string; boundUrl: string }> {
    this.closing.unshift(() => server.close({ drainMs: 0 }))
    const host = this.#values['calls.host'] ?? LOOPBACK
    const { url, port } = await server.listen({
      host,
      port: this.#values['calls.port'] ?? (this.#values['discovery.registry'] === undefined ? 4_100 : 0),
    })
    return {
      url: this.#values['calls.advertise'] ?? (isAnyAddress(host) ? `http://${ownAddress()}:${port}` : url),
      boundUrl: url,
    }
  }

  #register(url: string): { leave(): Promise<void> } | undefined {
    const registry = this.#values['discovery.registry']
    if (registry === undefined) return undefined
    const { services, instance, logger } = this.#options
    const registration = registerInstance({
      host: this.#host,
      logger,
      registry,
      secret: this.#values['calls.secret'],
      system: this.#system.name,
      id: instance,
      url,
      services,
    })
    this.closing.unshift(() => registration.leave())
    return registration
  }

  /** Opens engines and starts services; again and again, while it is an engine that cannot be reached. */
  async #start(ports: Ports): Promise<void> {
    const { services, instance, logger } = this.#options
    const options = { ...runtimeOptions(this.#values), services, instance }
    if (services.length === 0) return this.#running.become(await startSystem(this.#system, ports, options))
    const faults = createFaultLogger(logger, this.#host)
    for (let delayMs = RETRY_MS; ; delayMs = Math.min(2 * delayMs, RETRY_MS_MAX)) {
      try {
        return await this.#startOnce(ports, options)
      } catch (thrown) {
        const error = AtollError.from(thrown)
        if (!waitable.has(error.code)) throw error
        this.#running.waitFor(error)
        if (this.#stop.signal.aborted) return
        faults.warn({ services, retryInMs: delayMs, error }, 'the services cannot start yet; will try again')
        await this.#pause(delayMs)
        if (this.#stop.signal.aborted) return
      }
    }
  }

  async #startOnce(ports: Ports, options: Partial<RuntimeOptions>): Promise<void> {
    const { config, module, logger, services: names } = this.#options
    const services = this.#system.services.filter(({ name }) => names.includes(name))
    const engines = await openEngines({ config, system: this.#system.name, module, host: this.#host, logger, services })
    try {
      const warnings = await this.#examine(engines)
      this.#running.become(
        await startSystem(
          this.#system,
          { ...ports, stores: engines.stores, log: engines.log },
          { ...options, warnings },
        ),
      )
    } catch (error) {
      await engines.closeRefused().catch(() => undefined) // the first error is the one to tell
      throw error
    }
    this.#folder = engines.folder
    this.closing.unshift(
      () => this.#running.stop({ drainMs: 0 }),
      () => engines.close(),
    )
  }

  async #examine({ stores, log }: Engines): Promise<readonly string[]> {
    return clearForStart(diagnose(await stores.examine(), await log.examine(), this.#values), this.#options.logger)
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#host.after(delayMs, resolve)
      this.#stop.signal.addEventListener('abort', () => (timer.cancel(), resolve()), { once: true })
    })
  }

  #administer(verb: string, body: unknown, signal: AbortSignal): AsyncIterable<unknown> {
    if (verb !== 'redrive' && verb !== 'discard' && verb !== 'replay')
      throw new AtollError('NOT_FOUND', `an instance does not ${verb}; it does redrive, discard and replay`)
    // the other end is this same program
    return answer(this.#running.admin, { ...(body as object), verb } as ControlRequest, signal)
  }
}

/** Settings that leave something unsaid, or do not go with what should run here. */
function assertFits(system: System, { config, services, gateway }: ProcessOptions): void {
  const { values } = config
  assertGuarded(values['calls.host'] ?? LOOPBACK, trustOf(values), `a process of system ${system.name}`)
  const names = system.services.map(({ name }) => name)
  const elsewhere = names.filter((name) => !services.includes(name))
  const isEmbedded = services.length > 0 && (values['log.url'] ?? 'embedded') === 'embedded'
  if (isEmbedded && elsewhere.length > 0) {
    throw new AtollError(
      'CONFIG_INVALID',
      `log.url is embedded, a log that one process has for itself: ${elsewhere.join(', ')} could not share it. Give the address of an engine (ATOLL_LOG_URL), or run all services here`,
    )
  }
  const hasDiscovery = values['discovery.static'] ?? values['discovery.dns'] ?? values['discovery.registry']
  if (gateway && elsewhere.length > 0 && hasDiscovery === undefined) {
    throw new AtollError(
      'CONFIG_INVALID',
      `the gateway would reach nobody: ${elsewhere.join(', ')} run elsewhere, and nothing says where. Set discovery.registry, discovery.dns or discovery.static (ATOLL_DISCOVERY_…)`,
    )
  }
  const foreign = Object.keys(values['discovery.static'] ?? {}).find((name) => !names.includes(name))
  if (foreign !== undefined)
    throw new AtollError(
      'CONFIG_INVALID',
      `discovery.static names service ${foreign}, and system ${system.name} has ${names.join(', ')}`,
    )
}

/** Why a gateway can do nothing for a service whose instances are all there. */
function refusalOf(service: string): Problem {
  const brief = `every instance of ${service} refuses the secret of this process`
  return { reason: `${brief}; give all processes of the system the same one (calls.secret, ATOLL_CALLS_SECRET)`, brief }
}

/** What the configuration says of who may call. */
export function trustOf(values: Values): Trust {
  return { secret: values['calls.secret'], trustEveryLocalAccount: values['calls.trustEveryLocalAccount'] }
}

/** What the configuration says of the runtime. */
export function runtimeOptions(values: Values): Partial<RuntimeOptions> {
  return Object.fromEntries(
    Object.entries(values)
      .filter(([key]) => key.startsWith('runtime.'))
      .map(([key, value]) => [key.slice('runtime.'.length), value]),
  )
}

function isAnyAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

/** An address of this machine by which others may reach it. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const outside =
    all.find(({ family, internal }) => family === 'IPv4' && !internal) ??
    all.find(({ family, internal }) => family === 'IPv6' && !internal)
  if (!outside) return '127.0.0.1'
  return outside.family === 'IPv6' ? `[${outside.address}]` : outside.address
}

const LOOPBACK = '127.0.0.1'
/** What passes by itself when the engine is there. */
const waitable: ReadonlySet<string> = new Set(['UNAVAILABLE', 'OVERLOADED', 'STORE_FULL', 'DEADLINE_EXCEEDED'])
const RETRY_MS = 250
const RETRY_MS_MAX = 1_000
/** How long a gateway that stops says that it is not ready before it takes no more connections. */
const LINGER_MS = 500
