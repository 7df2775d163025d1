import type { Host, Logger } from '@atoll/host'
import type { Store } from '@atoll/store/driver'
import type { Service } from '../../service/service.ts'
import type { SubscriptionFacts, System } from '../../system.ts'
import { Admission } from '../command/admission.ts'
import { Agreement } from './agreement.ts'
import type { Alone } from '../subscription/alone.ts'
import { Audit } from './audit.ts'
import { CausalReads } from '../command/causal-reads.ts'
import { endsWithin } from '../deadline.ts'
import type { Dispatcher, ServiceHere } from '../command/dispatcher.ts'
import { Emission, type Emitter } from '../relay/emission.ts'
import { createFaultLogger } from '../faults.ts'
import { Forgetting } from './forgetting.ts'
import { Generations, type GenerationsParts } from './generations.ts'
import type { HandlingParts } from '../handling/handling.ts'
import { Operations } from '../command/operations.ts'
import type { RuntimeOptions } from '../options.ts'
import { toProblem } from '../problem.ts'
import { Relay } from '../relay/relay.ts'
import { DRAIN_MS, type Ports, type Problem, type RunningService, type StopOptions } from '../running.ts'
import { runtimeMigrations } from '../schema.ts'
import type { Sources } from '../command/sources.ts'
import { factsOf } from '../subscription/ground.ts'
import { all, inTurn } from '../steps.ts'
import { FailureReports } from '../subscription/reports.ts'
import { Subscription } from '../subscription/subscription.ts'
import { Timers } from '../relay/timers.ts'
import { sayWhatHasNoHandler } from './without-handler.ts'

/** What the services of a system have in common. */
export interface SystemParts {
  readonly system: System
  readonly ports: Ports
  readonly options: RuntimeOptions
  readonly alone: Alone
  readonly dispatcher: Dispatcher
  readonly sources: Sources
  /** Those that run in this process. */
  readonly services: ReadonlyMap<string, ServiceRuntime>
}

/** What a service is made of once its stores are open. */
interface Opened {
  readonly store: Store
  readonly generations: Generations
  readonly emission: Emission
  readonly relay: Relay
  readonly timers: Timers
  readonly agreement: Agreement
  readonly causalReads: CausalReads
  readonly operations: Operations
  readonly handling: HandlingParts
  readonly forgetting: Forgetting
}

/** One service: makes its parts, and starts and stops them in an order that is to be seen at once. */
export class ServiceRuntime implements RunningService, ServiceHere {
  readonly name: string
  readonly host: Host
  readonly logger: Logger
  readonly options: RuntimeOptions
  /** By name; the one of a projection that was rebuilt takes the place of the one before. */
  readonly subscriptions: ReadonlyMap<string, Subscription>
  readonly #definition: Service
  readonly #shared: SystemParts
  readonly #subscriptions = new Map<string, Subscription>()
  readonly #faults: ReturnType<typeof createFaultLogger>
  readonly #admission: Admission
  readonly #audit: Audit
  #store: Store | undefined
  #generations: Generations | undefined
  #opened: Opened | undefined
  /** Whether its store and the log were seen to fit. */
  #fits = false
  /** Whether its subscriptions and timers may begin, as far as the process is concerned. */
  #mayHandle = false
  /** Once handling has ended before the service has. */
  #unhandled: Promise<void> | undefined
  #unwatch: (() => void) | undefined

  constructor(definition: Service, shared: SystemParts) {
    const {
      ports: { host, logger },
      options,
    } = shared
    this.name = definition.name
    this.host = host
    this.logger = logger
    this.options = options
    this.subscriptions = this.#subscriptions
    this.#definition = definition
    this.#shared = shared
    this.#faults = createFaultLogger(logger, host)
    this.#admission = new Admission(this.name, host, options.operationsInFlightMax)
    this.#audit = new Audit({ host, logger, options, sources: shared.sources, subscriptions: this.#subscriptions })
  }

  get state(): RunningService['state'] {
    return this.#admission.state
  }

  /** Opens the stores. Needed once before the first start; they stay open until {@link close}. */
  async open(): Promise<void> {
    const { name, host, logger, options, subscriptions } = this
    const {
      dispatcher,
      sources,
      ports: { stores, log, attribution },
    } = this.#shared
    const store = await stores.open(name, { ...runtimeMigrations, ...this.#definition.store?.migrations })
    this.#store = store
    const generations = new Generations(this.#generationsParts(store))
    this.#generations = generations
    await generations.open(this.#definition.projections)
    const relay = new Relay(
      { service: name, store, log, host, logger, options },
      {
        fits: () => this.#fit(),
        halted: () => this.#relayHalted(),
      },
    )
    const timers = new Timers(name, store, host, logger, options, relay)
    const agreement = new Agreement({ name, store, host, logger, options }, this.#shared.services)
    const emission = new Emission({
      emitter: this.#emitter(),
      options,
      store,
      relay,
      timers,
      agreement,
      standing: sources.standing(name)!,
    })
    const causalReads = new CausalReads(host, options, subscriptions, sources)
    const handling = { host, logger, attribution, options, store, generations, emission, dispatcher }
    const operations = new Operations({
      ...handling,
      handlers: this.#definition.handlers,
      admission: this.#admission,
      causalReads,
      faults: this.#faults,
    })
    const forgetting = new Forgetting({ name, host, options, store, subscriptions }, this.#faults)
    this.#opened = {
      store,
      generations,
      emission,
      relay,
      timers,
      agreement,
      causalReads,
      operations,
      handling,
      forgetting,
    }
    await emission.load()
    await agreement.open()
    for (const facts of this.#facts())
      this.#subscriptions.set(
        facts.name,
        this.#subscribe(facts, facts.projection === undefined ? store : generations.storeOf(facts.projection)),
      )
  }

  #emitter(): Emitter {
    const { host, name, options } = this
    const { contract, privateEvents } = this.#definition
    return {
      host,
      name,
      declared: new Set([...contract.events, ...privateEvents]),
      partitions: options.partitions,
      eventBytesMax: this.#shared.ports.log.capabilities.dataBytesMax,
      faults: this.#faults,
    }
  }

  #generationsParts(store: Store): GenerationsParts {
    const { host, logger, options } = this
    return {
      host,
      logger,
      faults: this.#faults,
      options,
      stores: this.#shared.ports.stores,
      store,
      admission: this.#admission,
      facts: this.#facts().filter(({ projection }) => projection !== undefined),
      subscriptions: this.#subscriptions,
      subscribe: (facts, itsStore) => this.#subscribe(facts, itsStore),
      audit: this.#audit,
    }
  }

  #facts(): readonly SubscriptionFacts[] {
    return this.#shared.system.subscriptions.filter(({ service }) => service === this.name)
  }

  #subscribe(facts: SubscriptionFacts, store: Store): Subscription {
    const {
      system,
      alone,
      ports: { log, attribution },
    } = this.#shared
    const { host, logger, options } = this
    return new Subscription({
      ...factsOf(facts, system),
      host,
      logger,
      attribution,
      reports: new FailureReports(facts.name, host, logger),
      log,
      store,
      options,
      alone,
      handling: this.#parts.handling,
    })
  }

  async start(): Promise<void> {
    await this.prepare()
    this.admit()
    await this.handOnPassed()
    await this.handle()
  }

  /**
   * The first step of starting: looks whether store and log fit, and has the subscriptions of this process agree with
   * it on numbers. Nothing is taken, handed on or handled, and no timer fires.
   */
  async prepare(): Promise<void> {
    if (this.state === 'running' || this.state === 'starting') return
    this.#admission.state = 'starting'
    this.#unhandled = undefined
    await this.#orStopped(async () => {
      await this.#parts.generations.begin()
      await this.relay.start()
      if (this.relay.isOutdated) await this.#parts.agreement.note()
      else if (!this.#fits) await this.#parts.agreement.look()
    })
  }

  /** The second step, once every service of the process has taken the first: takes operations, and hands on. */
  admit(): void {
    if (this.state !== 'starting') return
    this.#unwatch = this.store.watch(() => this.relay.look())
    this.#admission.state = 'running' // from here on the log may bring events whose handlers call
    this.#admission.accepts = 'everybody'
    this.relay.begin()
  }

  /**
   * The third: gives the log what subscriptions here have passed, so that they find it there. No longer than a lease:
   * they look again.
   */
  async handOnPassed(): Promise<void> {
    if (this.state !== 'running' || this.#mayHandle || !this.#parts.agreement.isAhead || !this.relay.leads) return
    // why it cannot is among its problems
    await endsWithin(this.host, this.options.leaseMs, this.relay.drained()).catch(noop)
  }

  /** The last: handles events and fires timers, now or as soon as store and log are seen to fit. */
  async handle(): Promise<void> {
    if (this.state !== 'running' || this.#mayHandle) return
    this.#mayHandle = true
    if (this.#fits) await this.#orStopped(() => this.#startHandling())
  }

  /** Store and log fit, which may come out long after the start. */
  async #fit(): Promise<void> {
    if (await this.#parts.agreement.reach()) await this.emission.load()
    this.#fits = true
    if (!this.#mayHandle || this.state !== 'running') return
    this.#startHandling().catch((error: unknown) =>
      this.#faults.error({ service: this.name, error }, 'could not begin to handle all events'),
    )
  }

  async #startHandling(): Promise<void> {
    if (this.relay.isHalted) return // its handlers would emit once more what is in the log already
    const starts = Promise.all([
      this.#parts.timers.start(),
      ...[...this.#subscriptions.values()].map((subscription) => subscription.start()),
    ])
    this.#parts.forgetting.start()
    this.#parts.generations.follow()
    this.#audit.watch()
    await starts
    await sayWhatHasNoHandler(this.subscriptions, this.logger)
  }

  async #orStopped(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      await this.stop({ drainMs: 0 })
      throw error
    }
  }

  /**
   * The relay is halted. If that is because its store is older than the log, handlers would emit what the log has
   * already: they end.
   */
  #relayHalted(): void {
    if (!this.relay.isOutdated) return
    this.#parts.agreement
      .note()
      .catch((error: unknown) =>
        this.#faults.warn(
          { service: this.name, error },
          'could not note which numbers were passed; commands are refused',
        ),
      )
    this.#unhandled ??= this.#endHandling(DRAIN_MS).catch((error: unknown) =>
      this.#faults.warn({ service: this.name, error }, 'could not end all handling'),
    )
  }

  async #endHandling(drainMs: number): Promise<void> {
    this.#parts.forgetting.stop()
    this.#parts.generations.stopFollowing()
    this.#audit.end()
    await this.#parts.generations.settled()
    await inTurn([
      () => this.#parts.timers.stop(),
      () => all([...this.#subscriptions.values()].map((subscription) => subscription.stop(drainMs))),
    ])
  }

  async stop({ drainMs = DRAIN_MS }: StopOptions = {}): Promise<void> {
    if (this.state === 'stopped' || this.state === 'stopping') return
    const untilMs = this.host.monotonicMs() + drainMs
    await inTurn([() => this.endOperations(untilMs), () => this.endSubscriptions(untilMs), () => this.end(untilMs)])
  }

  /**
   * The first step of stopping: refuses who comes from outside, and lets those who are here end. Handlers may still
   * call.
   */
  async endOperations(untilMs: number): Promise<void> {
    if (this.state !== 'running' && this.state !== 'starting') return
    this.#admission.state = 'stopping'
    this.#mayHandle = false
    this.#admission.accepts = 'handlers'
    this.#parts.forgetting.stop()
    this.#parts.generations.end()
    this.#audit.end()
    if (!(await this.#admission.ended(untilMs, () => this.#admission.fromOutside === 0))) {
      this.logger.warn(
        { service: this.name, underWay: this.#admission.fromOutside },
        'operations were still under way when the time to drain ran out',
      )
    }
  }

  /**
   * The second step: lets events that are in hand end. When all services have taken it, no handler is left that could
   * call.
   */
  async endSubscriptions(untilMs: number): Promise<void> {
    if (this.state !== 'stopping') return
    await this.#unhandled
    await this.#parts.generations.ended()
    await this.#endHandling(Math.max(0, untilMs - this.host.monotonicMs()))
  }

  /** The last step: hands on what was emitted. */
  async end(untilMs: number): Promise<void> {
    if (this.state !== 'stopping') return
    this.#parts.causalReads.end()
    await this.#admission.ended(untilMs, () => this.#admission.underWay === 0)
    this.#admission.accepts = 'nobody'
    try {
      await inTurn([
        async () => this.#unwatch?.(),
        () => this.relay.stop(Math.max(untilMs - this.host.monotonicMs(), RELAY_STOP_MS)),
      ])
    } finally {
      this.#admission.state = 'stopped'
    }
  }

  /** Closes the stores. */
  async close(): Promise<void> {
    await inTurn([() => this.stop(), () => this.#generations?.close(), () => this.#store?.close()])
  }

  get store(): Store {
    return this.#parts.store
  }

  get relay(): Relay {
    return this.#parts.relay
  }

  get operations(): Operations {
    return this.#parts.operations
  }

  get emission(): Emission {
    return this.#parts.emission
  }

  get generations(): Generations {
    return this.#parts.generations
  }

  /** Looks whether its subscriptions have handled more than was ever emitted by services here. */
  audit(): Promise<void> {
    return this.#audit.look()
  }

  /** Whether events are to be handled that are not yet. */
  get isToHandle(): boolean {
    return this.#mayHandle && !this.#fits && !this.relay.isHalted
  }

  /** Whether nothing is in hand, as far as known here. */
  get idle(): boolean {
    return (
      !this.isToHandle &&
      this.#admission.underWay === 0 &&
      this.relay.idle &&
      [...this.#subscriptions.values()].every((subscription) => subscription.idle)
    )
  }

  get problems(): Problem[] {
    if (this.state !== 'running') return [toProblem(`service ${this.name} is ${this.state}`)]
    // its subscriptions may not have been started, which is no news beside that
    if (this.relay.isHalted) return [this.relay.problem!]
    if (this.isToHandle)
      return [
        toProblem(`service ${this.name} does not handle events yet: it has not seen whether its store and the log fit`),
        ...(this.relay.problem ? [this.relay.problem] : []),
      ]
    const problems = [...this.#subscriptions.values()].flatMap((subscription) => subscription.problems)
    problems.push(...this.#audit.problems)
    if (this.relay.problem !== undefined) problems.push(this.relay.problem)
    return problems
  }

  get #parts(): Opened {
    return this.#opened!
  }
}

/** What a relay gets to end, also when the time to drain is over. */
const RELAY_STOP_MS = 1_000

function noop(): void {}
