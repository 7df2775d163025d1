// One file: how a service starts, stops and comes to a halt is about all that it is made of, in an order that is to be seen at once.

import type { Host, Logger, Timer } from '@atoll/host'
import { isOrderBefore } from '@atoll/log/driver'
import type { Queries, Reader, Store } from '@atoll/store/driver'
import type { BoundOperation } from '../contract/operation.ts'
import type { EventDefinition } from '../contract/event.ts'
import type { Service } from '../service/service.ts'
import type { SubscriptionFacts, System } from '../system.ts'
import { Admission, type Asker } from './admission.ts'
import { Agreement } from './agreement.ts'
import { Audit, readEmitted, type Counts } from './audit.ts'
import { caughtUp, type CausalGround, type CausalWait, type Seen } from './causal.ts'
import { endsWithin } from './deadline.ts'
import { handleEvent } from './event-handling.ts'
import { refusalOfOutdated, refusalOfUnagreed } from './history.ts'
import { createFaultLogger } from './faults.ts'
import { Forgetting } from './forgetting.ts'
import { runOperation, type OperationGround, type Ran } from './operations.ts'
import type { RuntimeOptions } from './options.ts'
import type { OutboxEvent } from './outbox.ts'
import { sayWhatHasNoHandler } from './without-handler.ts'
import { emptyPosition, latestOf, type Position } from './position.ts'
import { openProjection, type ProjectionStore } from './projections.ts'
import { Relay } from './relay.ts'
import { toProblem } from './problem.ts'
import type { Dispatch, Dispatched, Ports, Problem, RunningService, StopOptions } from './running.ts'
import { runtimeMigrations } from './schema.ts'
import type { Alone } from './alone.ts'
import { readStanding, readStandingAtMost, type Standing } from './standing.ts'
import { factsOf, type SubscriptionGround } from './subscription/ground.ts'
import { FailureReports } from './subscription/reports.ts'
import { Subscription } from './subscription/subscription.ts'
import { Timers } from './timers.ts'

/** What a service asks of the system around it. */
export interface Surroundings {
  readonly system: System
  readonly ports: Ports
  readonly options: RuntimeOptions
  readonly alone: Alone
  /** Runs an operation that a handler calls. */
  dispatch(operation: string, request: Dispatch): Promise<Dispatched>
  /** A service that runs in this process. */
  service(name: string): ServiceRuntime | undefined
  /** How far a service of the system has got, as far as this process knows; undefined if there is none of that name. */
  standing(source: string): Standing | undefined
  /** How many events of each type a service that runs elsewhere has emitted; undefined if it cannot be asked, or cannot tell. */
  emitted(source: string): Promise<Counts | undefined>
}

/** One service at work: its store, relay, timers, subscriptions, and the operations under way. */
export class ServiceRuntime implements RunningService, OperationGround, CausalGround {
  readonly name: string
  readonly definition: Service
  readonly host: Host
  readonly logger: Logger
  readonly attribution: Ports['attribution']
  readonly options: RuntimeOptions
  readonly declared: ReadonlySet<EventDefinition>
  readonly partitions: number
  readonly eventBytesMax: number
  readonly faults: ReturnType<typeof createFaultLogger>
  state: RunningService['state'] = 'stopped'

  readonly #surroundings: Surroundings
  #store: Store | undefined
  #relay: Relay | undefined
  #timers: Timers | undefined
  #reader: Reader | undefined
  readonly #projections = new Map<string, ProjectionStore>()
  readonly #subscriptions = new Map<string, Subscription>()
  readonly #audit: Audit
  #committedOrder = '0'
  readonly #agreement: Agreement
  /** Whether its store and the log were seen to fit. */
  #fits = false
  /** Whether its subscriptions and timers may begin, as far as the process is concerned. */
  #mayHandle = false
  /** Once handling has ended before the service has. */
  #unhandled: Promise<void> | undefined
  readonly waits = new Set<CausalWait>()
  readonly #admission: Admission
  readonly #forgetting: Forgetting
  #followTimer: Timer | undefined
  #following: Promise<void> | undefined
  #unwatch: (() => void) | undefined

  constructor(definition: Service, surroundings: Surroundings) {
    this.name = definition.name
    this.definition = definition
    this.#surroundings = surroundings
    this.host = surroundings.ports.host
    this.logger = surroundings.ports.logger
    this.attribution = surroundings.ports.attribution
    this.faults = createFaultLogger(this.logger, this.host)
    this.#audit = new Audit(this.host, this.logger, surroundings.options)
    this.#forgetting = new Forgetting(this, this.faults)
    this.options = surroundings.options
    this.#agreement = new Agreement(this, () => this.#groundsHere())
    this.#admission = new Admission(this.name, this.host, this.options.operationsInFlightMax)
    this.partitions = surroundings.options.partitions
    this.eventBytesMax = surroundings.ports.log.capabilities.dataBytesMax
    this.declared = new Set([...definition.contract.events, ...definition.privateEvents])
  }

  /** Opens the stores. Needed once before the first start; they stay open until {@link close}. */
  async open(): Promise<void> {
    const { stores, log } = this.#surroundings.ports
    this.#store = await stores.open(this.name, { ...runtimeMigrations, ...this.definition.store?.migrations })
    for (const projection of this.definition.projections) {
      const ground = { stores, serviceStore: this.#store, host: this.host, instance: this.options.instance, leaseMs: this.options.leaseMs }
      this.#projections.set(projection.name, await openProjection(ground, projection))
    }
    this.#openReader()
    this.#relay = new Relay(this.name, this.#store, log, this.host, this.logger, this.options, { fits: () => this.#fit(), halted: () => this.#relayHalted() })
    this.#timers = new Timers(this.name, this.#store, this.host, this.logger, this.options, () => this.#emitted(() => this.relay.wake()))
    await this.#noteStanding()
    await this.#agreement.open()
    for (const facts of this.#surroundings.system.subscriptions) {
      if (facts.service === this.name) this.#subscriptions.set(facts.name, new Subscription(this.#groundOf(facts, this.#storeOf(facts))))
    }
  }

  async start(): Promise<void> {
    await this.prepare()
    this.admit()
    await this.handOnPassed()
    await this.handle()
  }

  /**
   * The first step of starting: looks whether store and log fit, and has the subscriptions of this process agree with it on numbers. Nothing is taken, handed on or handled,
   * and no timer fires.
   */
  async prepare(): Promise<void> {
    if (this.state === 'running' || this.state === 'starting') return
    this.state = 'starting'
    this.#unhandled = undefined
    await this.#orStopped(async () => {
      for (const projection of this.#projections.values()) await projection.tidyUp()
      await this.relay.start()
      if (this.relay.isOutdated) await this.#agreement.note()
      else if (!this.#fits) await this.#agreement.look()
    })
  }

  /** The second step, once every service of the process has taken the first: takes operations, and hands on. */
  admit(): void {
    if (this.state !== 'starting') return
    this.#unwatch = this.store.watch(() => this.relay.look())
    this.state = 'running' // from here on the log may bring events whose handlers call
    this.#admission.accepts = 'everybody'
    this.relay.begin()
  }

  /** The third: gives the log what subscriptions here have passed, so that they find it there. No longer than a lease: they look again. */
  async handOnPassed(): Promise<void> {
    if (this.state !== 'running' || this.#mayHandle || !this.#agreement.isAhead || !this.relay.leads()) return
    await endsWithin(this.host, this.options.leaseMs, this.relay.drained()).catch(noop) // why it cannot is among its problems
  }

  /** The last: handles events and fires timers, now or as soon as store and log are seen to fit. */
  async handle(): Promise<void> {
    if (this.state !== 'running' || this.#mayHandle) return
    this.#mayHandle = true
    if (this.#fits) await this.#orStopped(() => this.#startHandling())
  }

  /** Store and log fit, which may come out long after the start. */
  async #fit(): Promise<void> {
    if (await this.#agreement.reach()) await this.#noteStanding()
    this.#fits = true
    if (!this.#mayHandle || this.state !== 'running') return
    this.#startHandling().catch((error: unknown) => this.faults.error({ service: this.name, error }, 'could not begin to handle all events'))
  }

  async #startHandling(): Promise<void> {
    if (this.relay.isHalted) return // its handlers would emit once more what is in the log already
    const starts = Promise.all([this.#timers!.start(), ...[...this.#subscriptions.values()].map((subscription) => subscription.start())])
    this.#forgetting.start()
    this.#followLater()
    this.#audit.watch(() => [...this.#subscriptions.values()], (source) => this.#surroundings.service(source) === undefined, (source) => this.#emittedBy(source))
    await starts
    await sayWhatHasNoHandler(this)
  }

  async #orStopped(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      await this.stop({ drainMs: 0 })
      throw error
    }
  }

  /** The relay is halted. If that is because its store is older than the log, handlers would emit what the log has already: they end. */
  #relayHalted(): void {
    if (!this.relay.isOutdated) return
    this.#agreement.note().catch((error: unknown) => this.faults.warn({ service: this.name, error }, 'could not note which numbers were passed; commands are refused'))
    this.#unhandled ??= this.#endHandling(DRAIN_MS).catch((error: unknown) => this.faults.warn({ service: this.name, error }, 'could not end all handling'))
  }

  async #endHandling(drainMs: number): Promise<void> {
    this.#forgetting.stop()
    this.#followTimer?.cancel()
    this.#audit.end()
    await this.#following
    await this.#timers!.stop()
    await Promise.all([...this.#subscriptions.values()].map((subscription) => subscription.stop(drainMs)))
  }

  async stop({ drainMs = DRAIN_MS }: StopOptions = {}): Promise<void> {
    if (this.state === 'stopped' || this.state === 'stopping') return
    const untilMs = this.host.monotonicMs() + drainMs
    await this.endOperations(untilMs)
    await this.endSubscriptions(untilMs)
    await this.end(untilMs)
  }

  /** The first step of stopping: refuses who comes from outside, and lets those who are here end. Handlers may still call. */
  async endOperations(untilMs: number): Promise<void> {
    if (this.state !== 'running' && this.state !== 'starting') return
    this.state = 'stopping'
    this.#mayHandle = false
    this.#admission.accepts = 'handlers'
    this.#forgetting.stop()
    this.#followTimer?.cancel()
    this.#audit.end()
    if (!(await this.#admission.ended(untilMs, () => this.#admission.fromOutside === 0))) {
      this.logger.warn({ service: this.name, underWay: this.#admission.fromOutside }, 'operations were still under way when the time to drain ran out')
    }
  }

  /** The second step: lets events that are in hand end. When all services have taken it, no handler is left that could call. */
  async endSubscriptions(untilMs: number): Promise<void> {
    if (this.state !== 'stopping') return
    await this.#unhandled
    await this.#endHandling(Math.max(0, untilMs - this.host.monotonicMs()))
  }

  /** The last step: hands on what was emitted. */
  async end(untilMs: number): Promise<void> {
    if (this.state !== 'stopping') return
    await this.#admission.ended(untilMs, () => this.#admission.underWay === 0)
    this.#admission.accepts = 'nobody'
    this.#unwatch?.()
    await this.relay.stop(Math.max(untilMs - this.host.monotonicMs(), RELAY_STOP_MS))
    this.state = 'stopped'
  }

  /** Closes the stores. */
  async close(): Promise<void> {
    await this.stop()
    if (this.#projections.size > 0) await this.#reader?.close()
    for (const { store } of this.#projections.values()) await store.close()
    await this.#store?.close()
  }

  get store(): Store {
    return this.#store!
  }

  get relay(): Relay {
    return this.#relay!
  }

  get subscriptions(): ReadonlyMap<string, Subscription> {
    return this.#subscriptions
  }

  /** The last commit here that emitted, as an order token. */
  get committedOrder(): string {
    return this.#committedOrder
  }

  async #noteStanding(): Promise<void> {
    for (const [partition, order] of Object.entries(await readStanding(this.store.reader))) this.#noteCommitted(partition, order)
  }

  #noteCommitted(partition: string, orders: string): void {
    this.standingOf(this.name)!.note(Number(partition), orders)
    const latest = latestOf(orders)
    if (isOrderBefore(this.#committedOrder, latest)) this.#committedOrder = latest
  }

  reader(): Reader {
    return this.#reader!
  }

  async standing(queries: Queries): Promise<Position> {
    if (this.declared.size === 0) return emptyPosition
    const orders = await readStanding(queries)
    return Object.keys(orders).length === 0 ? emptyPosition : { [this.name]: orders }
  }

  /** Up to where any instance may have emitted, by partition. */
  emittedAtMost(): Promise<Readonly<Record<number, string>>> {
    return readStandingAtMost(this.store.reader, this.partitions)
  }

  /** Looks whether its subscriptions have handled more than was ever emitted. */
  audit(): Promise<void> {
    const here = async (source: string): Promise<Counts | undefined> => (this.#surroundings.service(source) ? this.#emittedBy(source) : undefined)
    return this.#audit.look([...this.#subscriptions.values()], here)
  }

  /** How many events of each type it has emitted; null while its store is older than the log. */
  async countEmitted(): Promise<Counts | null> {
    return this.relay.isOutdated ? null : readEmitted(this.store.reader)
  }

  async #emittedBy(source: string): Promise<Counts | undefined> {
    const here = this.#surroundings.service(source)
    return here ? ((await here.countEmitted()) ?? undefined) : this.#surroundings.emitted(source)
  }

  handler(operation: BoundOperation): (context: unknown) => unknown {
    // `service` checked that there is one for each operation, and its type that it takes this context.
    return this.definition.handlers[operation.name.slice(this.name.length + 1)] as (context: unknown) => unknown
  }

  dispatch(operation: string, request: Dispatch): Promise<Dispatched> {
    return this.#surroundings.dispatch(operation, request)
  }

  committed({ position, events, timers }: { position: Position; events: readonly OutboxEvent[]; timers: boolean }): void {
    const own = position[this.name]
    for (const partition in own) this.#noteCommitted(partition, own[Number(partition)]!)
    if (events.length > 0) this.#emitted(() => this.relay.offer(events))
    if (timers) this.#timers!.wake()
  }

  /** Hands events to the relay, which may be another process's. */
  #emitted(handOn: () => void): void {
    if (!this.relay.leads()) this.store.tell()
    handOn()
  }

  /** Runs an operation of this service, asked for from outside or by a handler. */
  async run(operation: BoundOperation, request: Dispatch, asker: Asker): Promise<Ran> {
    if (operation.kind === 'command') this.#assertMayEmit(operation)
    this.#admission.enter(operation, asker, this.state)
    try {
      return await runOperation(this, operation, request)
    } finally {
      this.#admission.leave(operation, asker)
    }
  }

  #assertMayEmit({ name }: BoundOperation): void {
    if (this.relay.isOutdated && this.options.commandsWhenOutdated === 'refuse') throw refusalOfOutdated(name, this.name)
    if (this.state === 'running' && !this.#agreement.isReached) throw refusalOfUnagreed(name, this.name)
  }

  caughtUp(seen: Seen, name: string, deadlineMs: number): Promise<boolean> | undefined {
    return caughtUp(this, seen, name, deadlineMs)
  }

  standingOf(source: string): Standing | undefined {
    return this.#surroundings.standing(source)
  }

  /** Builds the next generation of a projection beside the live one; the caller starts it, and calls {@link swap} or discards it. */
  async beside(facts: SubscriptionFacts): Promise<{ next: ProjectionStore; subscription: Subscription }> {
    await this.#follow()
    const next = await this.#projections.get(facts.projection!)!.next()
    return { next, subscription: new Subscription(this.#groundOf(facts, next.store)) }
  }

  /** Puts a rebuilt generation in the place of the live one. Rejects if it has not become live, and never after that. */
  async swap(facts: SubscriptionFacts, next: ProjectionStore, subscription: Subscription): Promise<void> {
    await this.#following
    const goingLive = next.goLive()
    const installing = goingLive.then(() => this.#install(facts, next, subscription))
    this.#following = installing.then(noop, noop).finally(() => (this.#following = undefined)) // it is live here before anybody looks whether it is
    await goingLive
    try {
      await (await installing).retire(RETIRE_LEASES * this.options.leaseMs)
    } catch (error) { // it is live all the same
      this.logger.warn({ subscription: facts.name, error }, 'a projection was rebuilt and is live; what was there before could not be put away, and is removed at a later start')
    }
  }

  /** From here on a projection is this generation; returns the one before, once nobody here uses it any more. */
  async #install(facts: SubscriptionFacts, next: ProjectionStore, subscription: Subscription): Promise<ProjectionStore> {
    const old = this.#projections.get(facts.projection!)!
    const oldSubscription = this.#subscriptions.get(facts.name)!
    this.#projections.set(facts.projection!, next)
    this.#subscriptions.set(facts.name, subscription)
    const oldReader = this.#reader!
    this.#openReader()
    await oldSubscription.stop(DRAIN_MS)
    await this.#admission.ended(this.host.monotonicMs() + DRAIN_MS, () => this.#admission.underWay === 0) // they may still read from the old one
    await oldReader.close()
    await this.audit()
    return old
  }

  #followLater(): void {
    if (this.#projections.size === 0) return
    this.#followTimer = this.host.after(this.options.lookMs, () => {
      const looking = this.#follow().catch((error: unknown) => this.faults.warn({ service: this.name, error }, 'could not look for rebuilt projections; will try again'))
      void looking.then(() => this.state === 'running' && this.#followLater())
    })
  }

  /** Takes up what other instances have rebuilt: which generation of a projection is live stands in the service's store. */
  #follow(): Promise<void> {
    return (this.#following ??= this.#followNow().finally(() => (this.#following = undefined)))
  }

  async #followNow(): Promise<void> {
    for (const facts of this.#surroundings.system.subscriptions) {
      const here = facts.service === this.name && facts.projection !== undefined ? this.#projections.get(facts.projection) : undefined
      const next = await here?.successor()
      if (!next || this.state !== 'running') {
        await next?.store.close()
        continue
      }
      const subscription = new Subscription(this.#groundOf(facts, next.store))
      await subscription.start()
      const old = await this.#install(facts, next, subscription)
      await old.store.close()
      this.logger.info({ subscription: facts.name, generation: next.generation }, 'another instance has rebuilt this projection; it is live here from now on')
    }
  }

  /** Whether events are to be handled that are not yet. */
  get isToHandle(): boolean {
    return this.#mayHandle && !this.#fits && !this.relay.isHalted
  }

  /** Whether nothing is in hand, as far as known here. */
  get idle(): boolean {
    return !this.isToHandle && this.#admission.underWay === 0 && this.relay.idle && [...this.#subscriptions.values()].every((subscription) => subscription.idle)
  }

  get problems(): Problem[] {
    if (this.state !== 'running') return [toProblem(`service ${this.name} is ${this.state}`)]
    if (this.relay.isHalted) return [this.relay.problem!] // its subscriptions may not have been started, which is no news beside that
    if (this.isToHandle) return [toProblem(`service ${this.name} does not handle events yet: it has not seen whether its store and the log fit`), ...(this.relay.problem ? [this.relay.problem] : [])]
    const problems = [...this.#subscriptions.values()].flatMap((subscription) => subscription.problems)
    problems.push(...this.#audit.problems)
    if (this.relay.problem !== undefined) problems.push(this.relay.problem)
    return problems
  }

  #openReader(): void {
    const { stores } = this.#surroundings.ports
    const store = this.#store!
    const names = [...this.#projections.values()].map((projection) => projection.store.name)
    this.#reader = names.length === 0 ? store.reader : stores.openReader([store.name, ...names])
  }

  #groundsHere(): SubscriptionGround[] {
    const { system, service } = this.#surroundings
    return system.subscriptions.flatMap((facts) => service(facts.service)?.subscriptions.get(facts.name)?.ground ?? [])
  }

  #storeOf(facts: SubscriptionFacts): Store {
    return facts.projection === undefined ? this.store : this.#projections.get(facts.projection)!.store
  }

  #groundOf(facts: SubscriptionFacts, store: Store): SubscriptionGround {
    const { system, ports, alone } = this.#surroundings
    const { host, logger, attribution, options } = this
    return { ...factsOf(facts, system), host, logger, attribution, reports: new FailureReports(facts.name, host, logger), log: ports.log, store, options, alone, handle: (...handling) => handleEvent(this, ...handling) }
  }
}

/** How long work under way may take when a service stops, milliseconds. */
export const DRAIN_MS = 10_000
/** What a relay gets to end, also when the time to drain is over. */
const RELAY_STOP_MS = 1_000
/** How many leases to wait for others to take up a rebuilt projection. */
const RETIRE_LEASES = 2

function noop(): void {}
