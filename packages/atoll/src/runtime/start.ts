import { AtollError } from '@atoll/host'
import type { Service } from '../service/service.ts'
import type { System } from '../system.ts'
import type { Admin } from './admin.ts'
import { listDeadLetters, listDiscarded, walkDeadLetters, walkDiscarded } from './admin/dead-letters.ts'
import { discardDeadLetters, redriveDeadLetters } from './admin/ending-letters.ts'
import { Dispatcher } from './command/dispatcher.ts'
import { feedEvents } from './admin/event-feed.ts'
import { guardLogger } from './handling/guarded-logger.ts'
import { readLedger } from './admin/ledger.ts'
import { defaultOptions, type RuntimeOptions } from './options.ts'
import { replayProjection } from './admin/replay.ts'
import {
  DRAIN_MS,
  type Cancellation,
  type Dispatch,
  type Dispatched,
  type OpenSystem,
  type Ports,
  type Readiness,
  type RunningSystem,
  type StopOptions,
} from './running.ts'
import { ServiceRuntime } from './service/service-runtime.ts'
import { Sources } from './command/sources.ts'
import { all, inTurn } from './steps.ts'
import { Alone } from './subscription/alone.ts'

/**
 * Starts every service of a system in this process, over the given ports. Rejects, with everything closed again, if a
 * store or the log refuses (STORE_CORRUPT, STORE_NEWER, LOG_GAP, MIGRATION_CHANGED, …). Ports stay the caller's: it
 * closes the log and the store driver after {@link RunningSystem.stop}.
 */
export async function startSystem(
  system: System,
  ports: Ports,
  options: Partial<RuntimeOptions> = {},
): Promise<RunningSystem> {
  const runtime = new SystemRuntime(system, ports, { ...defaultOptions, ...options })
  await runtime.start()
  return runtime
}

/**
 * Opens a system's stores to look at them and its log, and starts nothing: no event is handled or handed on, no timer
 * fires. Of {@link Admin}, what only asks works; `redrive` and `replay` are refused with UNAVAILABLE. Rejects as {@link
 * startSystem} does.
 */
export async function openSystem(
  system: System,
  ports: Ports,
  options: Partial<RuntimeOptions> = {},
): Promise<OpenSystem> {
  const runtime = new SystemRuntime(system, ports, { ...defaultOptions, ...options })
  await runtime.open()
  return { admin: runtime.admin, close: () => runtime.stop({ drainMs: 0 }) }
}

class SystemRuntime implements RunningSystem {
  readonly system: System
  readonly services = new Map<string, ServiceRuntime>()
  readonly admin: Admin
  readonly #ports: Ports
  readonly #dispatcher: Dispatcher
  readonly #warnings: readonly string[]
  #stopping: Promise<void> | undefined

  constructor(system: System, given: Ports, options: RuntimeOptions) {
    const ports = { ...given, logger: guardLogger(given.logger) }
    this.system = system
    this.#ports = ports
    this.#warnings = options.warnings
    this.#dispatcher = new Dispatcher(system, ports, options, this.services)
    const sources = new Sources(
      system.services.map(({ name }) => name),
      this.services,
      this.#dispatcher,
      ports.host,
      options,
    )
    const shared = {
      system,
      ports,
      options,
      alone: new Alone(),
      dispatcher: this.#dispatcher,
      sources,
      services: this.services,
    }
    for (const service of servicesHere(system, options))
      this.services.set(service.name, new ServiceRuntime(service, shared))
    this.admin = this.#makeAdmin(options)
  }

  open(): Promise<void> {
    return this.#orClosed(async () => {
      for (const service of this.services.values()) await service.open()
    })
  }

  async start(): Promise<void> {
    await this.open()
    await this.#orClosed(async () => {
      // Step by step, all services side by side: what one of them takes or handles may call another, or emit, and
      // before that all are to agree on numbers.
      const services = [...this.services.values()]
      await all(services.map((service) => service.prepare()))
      for (const service of services) service.admit()
      await all(services.map((service) => service.handOnPassed()))
      await all(services.map((service) => service.handle()))
      for (const service of services) await service.audit()
    })
  }

  async #orClosed(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      await this.stop({ drainMs: 0 }).catch(() => undefined) // the first error is the one to tell
      throw error
    }
  }

  dispatch(operation: string, request: Dispatch): Promise<Dispatched> {
    return this.#dispatcher.dispatch(operation, request, 'outside')
  }

  readiness(): Readiness {
    const problems = [...this.services.values()].flatMap((service) => service.problems)
    return {
      ready: problems.length === 0,
      reasons: problems.map(({ reason }) => reason),
      brief: [...new Set(problems.map(({ brief }) => brief))],
      warnings: this.#warnings,
    }
  }

  get idle(): boolean {
    return [...this.services.values()].every((service) => service.idle)
  }

  async quiet(signal?: Cancellation): Promise<void> {
    const running = [...this.services.values()].filter((service) => service.state === 'running')
    const moved = (): string =>
      running.map((service) => `${service.emission.committedOrder}/${service.relay.relayedSeq}`).join()
    for (;;) {
      for (const service of running) await service.relay.drained()
      const before = moved()
      const subscriptions = running.flatMap((service) => [...service.subscriptions.values()])
      for (const subscription of subscriptions) subscription.wake()
      while (
        running.some((service) => service.isToHandle) ||
        subscriptions.some((subscription) => !subscription.idle)
      ) {
        for (const subscription of subscriptions) if (subscription.gap) throw subscription.gap
        if (signal?.aborted) throw new AtollError('CANCELLED', 'nobody waits any more for the system to be quiet')
        await this.#turn()
      }
      for (const service of running) await service.relay.drained()
      if (moved() === before) return
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#ports.host.turn(resolve))
  }

  stop(options?: StopOptions): Promise<void> {
    this.#stopping ??= this.#stop(options)
    return this.#stopping
  }

  /**
   * Step by step, all services side by side: while handlers are at work, what they call must answer. Every step is
   * taken for each of them, whatever fails.
   */
  async #stop({ drainMs = DRAIN_MS }: StopOptions = {}): Promise<void> {
    const services = [...this.services.values()]
    const untilMs = this.#ports.host.monotonicMs() + drainMs
    await inTurn([
      () => all(services.map((service) => service.endOperations(untilMs))),
      () => all(services.map((service) => service.endSubscriptions(untilMs))),
      () => all(services.map((service) => service.end(untilMs))),
      () => all(services.map((service) => service.close())),
    ])
  }

  #makeAdmin(options: RuntimeOptions): Admin {
    const { log, host } = this.#ports
    const sources = this.system.services.map((service) => service.name)
    return {
      ledger: async () => readLedger(this.services, log),
      events: (wanted) => feedEvents(log, host, sources, options.partitions, wanted),
      deadLetters: (filter = {}) => listDeadLetters(this.services, filter),
      walkDeadLetters: (filter = {}) => walkDeadLetters(this.services, filter),
      redrive: (wanted) => redriveDeadLetters(this.services, wanted),
      discard: (wanted) => discardDeadLetters(this.services, host, wanted),
      discarded: (filter = {}) => listDiscarded(this.services, filter),
      walkDiscarded: (filter = {}) => walkDiscarded(this.services, filter),
      replay: (name) => {
        const facts = this.system.subscriptions.find((subscription) => subscription.name === name)
        const projections = this.system.subscriptions
          .filter((subscription) => subscription.projection !== undefined)
          .map((subscription) => subscription.name)
        if (!facts)
          throw new AtollError(
            'COMMAND_USAGE',
            `there is no subscription ${name}; ${projections.length === 0 ? 'there are no projections to replay' : `the projections are ${projections.join(', ')}`}`,
          )
        const service = this.services.get(facts.service)
        if (!service)
          throw new AtollError(
            'UNAVAILABLE',
            `${name} cannot be replayed here: service ${facts.service} runs elsewhere`,
          )
        return replayProjection(service, facts, log)
      },
    }
  }
}

function servicesHere({ name, services }: System, options: RuntimeOptions): readonly Service[] {
  const wanted = options.services
  if (wanted === 'all') return services
  const unknown = wanted.find((one) => !services.some((service) => service.name === one))
  if (unknown === undefined) return services.filter((service) => wanted.includes(service.name))
  throw new AtollError(
    'DEFINITION_INVALID',
    `system ${name} has no service ${unknown}; it has ${services.map((service) => service.name).join(', ')}`,
  )
}
