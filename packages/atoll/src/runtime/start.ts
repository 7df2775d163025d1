import { AtollError } from '@atoll/host'
import { copyOf, lookAtSent } from '../contract/json-value.ts'
import type { BoundOperation } from '../contract/operation.ts'
import type { Service } from '../service/service.ts'
import type { System } from '../system.ts'
import type { Admin } from './admin.ts'
import { listDeadLetters, listDiscarded, walkDeadLetters, walkDiscarded } from './dead-letters.ts'
import { discardDeadLetters, redriveDeadLetters } from './ending-letters.ts'
import { feedEvents } from './event-feed.ts'
import { guardLogger } from './guarded-logger.ts'
import { readLedger } from './ledger.ts'
import { runAttributed } from './attribution.ts'
import { defaultOptions, type RuntimeOptions } from './options.ts'
import { mergePositions } from './position.ts'
import { replayProjection } from './replay.ts'
import type { Cancellation, Dispatch, Dispatched, OpenSystem, Ports, Readiness, RunningSystem, StopOptions } from './running.ts'
import { unsendable } from './input.ts'
import type { Ran } from './operations.ts'
import { DRAIN_MS, ServiceRuntime } from './service-runtime.ts'
import { questionOf, type Question } from './questions.ts'
import { Standing } from './standing.ts'
import { Alone } from './alone.ts'

/**
 * Starts every service of a system in this process, over the given ports. Rejects, with everything closed again, if a store or the log
 * refuses (STORE_CORRUPT, STORE_NEWER, LOG_GAP, MIGRATION_CHANGED, …). Ports stay the caller's: it closes the log and the store driver
 * after {@link RunningSystem.stop}.
 */
export async function startSystem(system: System, ports: Ports, options: Partial<RuntimeOptions> = {}): Promise<RunningSystem> {
  const runtime = new SystemRuntime(system, ports, { ...defaultOptions, ...options })
  await runtime.start()
  return runtime
}

/**
 * Opens a system's stores to look at them and its log, and starts nothing: no event is handled or handed on, no timer fires. Of
 * {@link Admin}, what only asks works; `redrive` and `replay` are refused with UNAVAILABLE. Rejects as {@link startSystem} does.
 */
export async function openSystem(system: System, ports: Ports, options: Partial<RuntimeOptions> = {}): Promise<OpenSystem> {
  const runtime = new SystemRuntime(system, ports, { ...defaultOptions, ...options })
  await runtime.open()
  return { admin: runtime.admin, close: () => runtime.stop({ drainMs: 0 }) }
}

class SystemRuntime implements RunningSystem {
  readonly system: System
  readonly services = new Map<string, ServiceRuntime>()
  readonly admin: Admin
  readonly #ports: Ports
  /** By service, wherever it runs. */
  readonly #standings: ReadonlyMap<string, Standing>
  readonly #warnings: readonly string[]
  #stopping: Promise<void> | undefined

  constructor(system: System, given: Ports, options: RuntimeOptions) {
    const ports = { ...given, logger: guardLogger(given.logger) }
    this.system = system
    this.#ports = ports
    this.#warnings = options.warnings
    this.#standings = new Map(system.services.map(({ name }) => [name, new Standing(ports.host, options, () => this.#askStanding(name, options))]))
    const alone = new Alone()
    for (const service of servicesHere(system, options)) {
      const surroundings = {
        system,
        ports,
        options,
        alone,
        dispatch: (operation: string, request: Dispatch) => this.#dispatch(operation, request, 'handler'),
        service: (name: string) => this.services.get(name),
        standing: (source: string) => this.#standings.get(source),
        emitted: (source: string) => this.#askEmitted(source, options),
      }
      this.services.set(service.name, new ServiceRuntime(service, surroundings))
    }
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
      // Step by step, all services side by side: what one of them takes or handles may call another, or emit, and before that all are to agree on numbers.
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
    return this.#dispatch(operation, request, 'outside')
  }

  async #dispatch(name: string, request: Dispatch, asker: 'outside' | 'handler'): Promise<Dispatched> {
    const entry = this.system.operations.get(name)
    if (!entry) throw new AtollError('NOT_FOUND', `system ${this.system.name} has no operation ${name}`)
    try {
      const { operation, service } = entry
      request = toSent(operation, request, asker)
      const runtime = this.services.get(service.name)
      if (!runtime) return await this.#dispatchElsewhere(service.name, name, request)
      const question = questionOf(name)
      if (question === '@standing') return { output: undefined, outcome: 'done', position: { [service.name]: await runtime.emittedAtMost() } }
      if (question === '@emitted') return { output: await runtime.countEmitted(), outcome: 'done', position: {} }
      const answer = await runtime.run(operation, request, asker)
      return request.show && operation.show ? await this.#show(operation, operation.show, answer, request) : answer
    } catch (error) {
      throw AtollError.from(error)
    }
  }

  /** How far a service has got, by what its store says: its own process is asked if that is another one. */
  async #askStanding(service: string, { causalWaitMs }: RuntimeOptions): Promise<Readonly<Record<number, string>>> {
    const runtime = this.services.get(service)
    if (runtime) return runtime.emittedAtMost()
    const { position } = await this.#ask(service, '@standing', causalWaitMs)
    return position[service] ?? {}
  }

  /** How many events of each type a service that runs elsewhere has emitted; undefined if it cannot be asked, or cannot tell. */
  async #askEmitted(service: string, { causalWaitMs }: RuntimeOptions): Promise<Readonly<Record<string, number>> | undefined> {
    const answer = await this.#ask(service, '@emitted', causalWaitMs).catch(() => undefined)
    return (answer?.output as Readonly<Record<string, number>> | null | undefined) ?? undefined // as `questionsOf` says
  }

  #ask(service: string, question: Question, withinMs: number): Promise<Dispatched> {
    return this.#dispatchElsewhere(service, `${service}.${question}`, { input: {}, deadlineMs: this.#ports.host.monotonicMs() + withinMs })
  }

  #dispatchElsewhere(service: string, operation: string, request: Dispatch): Promise<Dispatched> {
    const { calls } = this.#ports
    if (calls) return calls.dispatch(operation, request)
    throw new AtollError('UNAVAILABLE', `${operation} cannot be reached: service ${service} does not run here, and there is no port for calls to services elsewhere`)
  }

  /** The command has succeeded: whatever keeps its query from answering, the client gets the command's own output. */
  async #show(operation: BoundOperation, show: NonNullable<BoundOperation['show']>, answer: Ran, request: Dispatch): Promise<Dispatched> {
    try {
      const position = mergePositions(request.position ?? {}, answer.position)
      const input = runAttributed(this.#ports.attribution, this.#ports.logger, { handling: operation.name, requestId: request.requestId }, () => show.input(answer.output, answer.input))
      const shown = await this.dispatch(show.query().name, { ...request, input, position, show: false, idempotencyKey: undefined, ifMatch: undefined, ifNoneMatch: undefined })
      return { ...shown, outcome: 'shown', position: answer.position, missed: answer.missed || shown.missed, replayed: answer.replayed }
    } catch (error) {
      this.#ports.logger.warn({ requestId: request.requestId, error }, 'a command succeeded, and the query that shows its result did not')
      return { ...answer, outcome: 'accepted' }
    }
  }

  readiness(): Readiness {
    const problems = [...this.services.values()].flatMap((service) => service.problems)
    return { ready: problems.length === 0, reasons: problems.map(({ reason }) => reason), brief: [...new Set(problems.map(({ brief }) => brief))], warnings: this.#warnings }
  }

  get idle(): boolean {
    return [...this.services.values()].every((service) => service.idle)
  }

  async quiet(signal?: Cancellation): Promise<void> {
    const running = [...this.services.values()].filter((service) => service.state === 'running')
    const moved = (): string => running.map((service) => `${service.committedOrder}/${service.relay.relayedSeq}`).join()
    for (;;) {
      for (const service of running) await service.relay.drained()
      const before = moved()
      const subscriptions = running.flatMap((service) => [...service.subscriptions.values()])
      for (const subscription of subscriptions) subscription.wake()
      while (running.some((service) => service.isToHandle) || subscriptions.some((subscription) => !subscription.idle)) {
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

  /** Step by step, all services side by side: while handlers are at work, what they call must answer. */
  async #stop({ drainMs = DRAIN_MS }: StopOptions = {}): Promise<void> {
    const services = [...this.services.values()]
    const untilMs = this.#ports.host.monotonicMs() + drainMs
    await Promise.all(services.map((service) => service.endOperations(untilMs)))
    await Promise.all(services.map((service) => service.endSubscriptions(untilMs)))
    await Promise.all(services.map((service) => service.end(untilMs)))
    await Promise.all(services.map((service) => service.close()))
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
        const projections = this.system.subscriptions.filter((subscription) => subscription.projection !== undefined).map((subscription) => subscription.name)
        if (!facts) throw new AtollError('COMMAND_USAGE', `there is no subscription ${name}; ${projections.length === 0 ? 'there are no projections to replay' : `the projections are ${projections.join(', ')}`}`)
        const service = this.services.get(facts.service)
        if (!service) throw new AtollError('UNAVAILABLE', `${name} cannot be replayed here: service ${facts.service} runs elsewhere`)
        return replayProjection(service, facts, log)
      },
    }
  }
}

/** Waits for all of them, whatever becomes of any: whoever closes things finds nobody at work. */
async function all(works: readonly Promise<void>[]): Promise<void> {
  for (const work of await Promise.allSettled(works)) if (work.status === 'rejected') throw work.reason
}

/**
 * A request as it arrives in any process of the system. What a handler calls with is copied, as it would be on its way to another process: the two
 * share nothing. So is what a schema or a handler could change, for it may be sent again: with another version under If-Match. INVALID for input that
 * JSON does not carry as it is.
 */
function toSent(operation: BoundOperation, request: Dispatch, asker: 'outside' | 'handler'): Dispatch {
  const { input } = request
  if (input === undefined) return request
  const { flaw, hasMinusZero } = lookAtSent(input, asker === 'outside', request.isFromClient === true)
  if (flaw) throw unsendable(operation, input, flaw)
  return asker === 'handler' || hasMinusZero || !operation.remakesInput ? { ...request, input: copyOf(input) } : request
}

function servicesHere({ name, services }: System, options: RuntimeOptions): readonly Service[] {
  const wanted = options.services
  if (wanted === 'all') return services
  const unknown = wanted.find((one) => !services.some((service) => service.name === one))
  if (unknown === undefined) return services.filter((service) => wanted.includes(service.name))
  throw new AtollError('DEFINITION_INVALID', `system ${name} has no service ${unknown}; it has ${services.map((service) => service.name).join(', ')}`)
}
