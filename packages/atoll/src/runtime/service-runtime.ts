import { AtollError, type Host, type Logger, type Timer } from '@atoll/host'
import { isOrderBefore } from '@atoll/log/driver'
import type { Reader, Statement, Store } from '@atoll/store/driver'
import type { BoundOperation } from '../contract/operation.ts'
import type { EventDefinition } from '../contract/event.ts'
import type { Service } from '../service/service.ts'
import type { Subscriber } from '../service/subscriber.ts'
import type { SubscriptionFacts, System } from '../system.ts'
import { forgetAnswers } from './answers.ts'
import { endsWithin, withDeadline } from './deadline.ts'
import { openEnvelope, type Envelope } from './envelope.ts'
import { Handling, type EventView } from './handling.ts'
import { runOperation, type OperationGround } from './operations.ts'
import type { RuntimeOptions } from './options.ts'
import type { OutboxEvent } from './outbox.ts'
import { emptyPosition, type Position } from './position.ts'
import { openProjection, type ProjectionStore } from './projections.ts'
import { Relay } from './relay.ts'
import type { Dispatch, Dispatched, Ports, RunningService, StopOptions } from './running.ts'
import { runtimeMigrations } from './schema.ts'
import { StoreFailure, type SubscriptionGround } from './subscription/ground.ts'
import { Subscription } from './subscription/subscription.ts'
import { Timers } from './timers.ts'
import type { TransactionFrame } from './transact.ts'

const selectSeq: Statement = {
  sql: 'SELECT max(seq) AS seq FROM (SELECT max(seq) AS seq FROM atoll_outbox UNION ALL SELECT max(seq) FROM atoll_streams)',
}

/** What a service asks of the system around it. */
export interface Surroundings {
  readonly system: System
  readonly ports: Ports
  readonly options: RuntimeOptions
  dispatch(operation: string, request: Dispatch): Promise<Dispatched>
  /** The last commit of a service that emitted, as an order token; undefined if that service is not here. */
  lastOrder(service: string): string | undefined
}

/** One service at work: its store, relay, timers, subscriptions, and the operations under way. */
export class ServiceRuntime implements RunningService, OperationGround {
  readonly name: string
  readonly definition: Service
  readonly host: Host
  readonly logger: Logger
  readonly options: RuntimeOptions
  readonly declared: ReadonlySet<EventDefinition>
  readonly partitions: number
  state: RunningService['state'] = 'stopped'

  readonly #surroundings: Surroundings
  #store: Store | undefined
  #relay: Relay | undefined
  #timers: Timers | undefined
  #reader: Reader | undefined
  readonly #projections = new Map<string, ProjectionStore>()
  readonly #subscriptions = new Map<string, Subscription>()
  #lastOrder = '0'
  #underWay = 0
  #tidyTimer: Timer | undefined
  #onIdle: (() => void)[] = []

  constructor(definition: Service, surroundings: Surroundings) {
    this.name = definition.name
    this.definition = definition
    this.#surroundings = surroundings
    this.host = surroundings.ports.host
    this.logger = surroundings.ports.logger
    this.options = surroundings.options
    this.partitions = surroundings.options.partitions
    this.declared = new Set([...definition.contract.events, ...definition.privateEvents])
  }

  /** Opens the stores. Needed once before the first start; they stay open until {@link close}. */
  async open(): Promise<void> {
    const { stores, log } = this.#surroundings.ports
    this.#store = await stores.open(this.name, { ...runtimeMigrations, ...this.definition.store?.migrations })
    for (const projection of this.definition.projections) {
      this.#projections.set(projection.name, await openProjection(stores, this.#store, projection))
    }
    this.#openReader()
    this.#relay = new Relay(this.name, this.#store, log, this.host, this.logger, this.options)
    this.#timers = new Timers(this.name, this.#store, this.host, this.logger, this.options, () => this.#relay!.wake())
    const last = await this.#store.reader.get<{ seq: number | null }>(selectSeq)
    this.#lastOrder = String(last?.seq ?? 0)
    for (const facts of this.#surroundings.system.subscriptions) {
      if (facts.service === this.name) this.#subscriptions.set(facts.name, new Subscription(this.#groundOf(facts, this.#storeOf(facts))))
    }
  }

  async start(): Promise<void> {
    if (this.state === 'running' || this.state === 'starting') return
    this.state = 'starting'
    try {
      await this.relay.start()
      this.state = 'running' // from here on the log may bring events whose handlers call
      await Promise.all([...this.#subscriptions.values()].map((subscription) => subscription.start()))
      await this.#timers!.start()
      this.#forgetOldAnswers()
    } catch (error) {
      this.state = 'stopped'
      throw error
    }
  }

  async stop({ drainMs = DRAIN_MS }: StopOptions = {}): Promise<void> {
    if (this.state !== 'running') return
    this.state = 'stopping'
    this.#tidyTimer?.cancel()
    if (!(await this.#operationsEnded(drainMs))) {
      this.logger.warn({ service: this.name, underWay: this.#underWay, drainMs }, 'operations were still under way when the time to drain ran out')
    }
    await this.#timers!.stop()
    await Promise.all([...this.#subscriptions.values()].map((subscription) => subscription.stop(drainMs)))
    await this.relay.stop()
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

  /** The last commit here that emitted. */
  get lastOrder(): string {
    return this.#lastOrder
  }

  reader(): Reader {
    return this.#reader!
  }

  handler(operation: BoundOperation): (context: unknown) => unknown {
    // `service` checked that there is one for each operation, and its type that it takes this context.
    return this.definition.handlers[operation.name.slice(this.name.length + 1)] as (context: unknown) => unknown
  }

  dispatch(operation: string, request: Dispatch): Promise<Dispatched> {
    return this.#surroundings.dispatch(operation, request)
  }

  committed({ position, events, timers }: { position: Position; events: readonly OutboxEvent[]; timers: boolean }): void {
    for (const order of Object.values(position[this.name] ?? {})) if (isOrderBefore(this.#lastOrder, order)) this.#lastOrder = order
    if (events.length > 0) this.relay.offer(events)
    if (timers) this.#timers!.wake()
  }

  /** Runs an operation of this service. */
  async run(operation: BoundOperation, request: Dispatch): Promise<Dispatched> {
    if (this.state !== 'running') throw new AtollError('UNAVAILABLE', `${operation.name} cannot run: service ${this.name} is ${this.state}`)
    if (this.#underWay >= this.options.operationsInFlightMax) {
      throw new AtollError('OVERLOADED', `${operation.name} was refused: service ${this.name} has ${this.#underWay} operations under way (operationsInFlightMax)`)
    }
    this.#underWay++
    try {
      return await runOperation(this, operation, request)
    } finally {
      this.#underWay--
      if (this.#underWay === 0) for (const resolve of this.#onIdle.splice(0)) resolve()
    }
  }

  caughtUp(position: Position, name: string, deadlineMs: number): Promise<void> | undefined {
    const missing = this.#missing(position)
    if (missing.length === 0) return undefined
    const untilMs = Math.min(deadlineMs, this.host.monotonicMs() + this.options.causalWaitMs)
    return this.#wait(missing, name, untilMs)
  }

  async #wait(missing: readonly Missing[], name: string, untilMs: number): Promise<void> {
    for (const { subscription, source, partition, order } of missing) {
      while (!subscription.hasReached(source, partition, order)) {
        const leftMs = untilMs - this.host.monotonicMs()
        if (leftMs <= 0 || this.state !== 'running') {
          throw new AtollError('BEHIND', `${name}: ${subscription.ground.name} has not yet handled what its caller has seen of ${source}`, {
            details: { subscription: subscription.ground.name, source, partition },
          })
        }
        await new Promise<void>((resolve) => {
          const done = (): void => {
            timer.cancel()
            forget()
            resolve()
          }
          const timer = this.host.after(leftMs, done)
          const forget = subscription.whenReached(source, partition, order, done)
        })
      }
    }
  }

  #missing(position: Position): Missing[] {
    const missing: Missing[] = []
    for (const [source, partitions] of Object.entries(position)) {
      const last = this.#surroundings.lastOrder(source)
      for (const [key, order] of Object.entries(partitions)) {
        // A position from another history (a data folder begun anew) would never be reached.
        if (last === undefined || isOrderBefore(last, order)) continue
        const partition = Number(key)
        for (const subscription of this.#subscriptions.values()) {
          if (!subscription.hasReached(source, partition, order)) missing.push({ subscription, source, partition, order })
        }
      }
    }
    return missing
  }

  /** Builds the next generation of a projection beside the live one; the caller starts it, and calls {@link swap} or discards it. */
  async beside(facts: SubscriptionFacts): Promise<{ next: ProjectionStore; subscription: Subscription }> {
    const next = await this.#projections.get(facts.projection!)!.next()
    return { next, subscription: new Subscription(this.#groundOf(facts, next.store)) }
  }

  /** Puts a rebuilt generation in the place of the live one. */
  async swap(facts: SubscriptionFacts, next: ProjectionStore, subscription: Subscription): Promise<void> {
    const old = this.#projections.get(facts.projection!)!
    const oldSubscription = this.#subscriptions.get(facts.name)!
    await next.goLive()
    this.#projections.set(facts.projection!, next)
    this.#subscriptions.set(facts.name, subscription)
    const oldReader = this.#reader!
    this.#openReader()
    await oldSubscription.stop(DRAIN_MS)
    await this.#operationsEnded(DRAIN_MS) // they may still read from the old one
    await oldReader.close()
    await old.discard()
  }

  get problems(): string[] {
    if (this.state !== 'running') return [`service ${this.name} is ${this.state}`]
    const problems = [...this.#subscriptions.values()].flatMap((subscription) => subscription.problems)
    if (this.relay.stuck) problems.push(`the relay of ${this.name} stands still: ${this.relay.stuck.message}`)
    return problems
  }

  #openReader(): void {
    const { stores } = this.#surroundings.ports
    const store = this.#store!
    const names = [...this.#projections.values()].map((projection) => projection.store.name)
    this.#reader = names.length === 0 ? store.reader : stores.openReader([store.name, ...names])
  }

  #storeOf(facts: SubscriptionFacts): Store {
    return facts.projection === undefined ? this.store : this.#projections.get(facts.projection)!.store
  }

  #groundOf(facts: SubscriptionFacts, store: Store): SubscriptionGround {
    const { system, ports } = this.#surroundings
    return {
      name: facts.name,
      host: this.host,
      logger: this.logger,
      log: ports.log,
      store,
      options: this.options,
      subscribers: new Map(facts.subscribers.map((subscriber) => [subscriber.event.name, subscriber])),
      events: facts.subscribers.map(({ event }) => ({ type: event.name, source: system.sources.get(event.name)!.service })), // `system` checked it
      batched: facts.subscribers.every((subscriber) => subscriber.kind === 'project'),
      handle: (subscriber, envelope, frame, mode) => this.#handleEvent(subscriber, envelope, frame, mode),
    }
  }

  async #handleEvent(subscriber: Subscriber, envelope: Envelope, frame: TransactionFrame, mode: 'live' | 'dry'): Promise<void> {
    const event = openEnvelope(envelope, subscriber.event)
    const name = `${this.name} on ${event.type}`
    const deadlineMs = this.host.monotonicMs() + this.options.handlingMs
    const handling = new Handling(this, {
      name,
      requestId: envelope.id,
      parentTrace: envelope.trace,
      cause: envelope.id,
      deadlineMs,
      caller: undefined,
      position: emptyPosition,
      signal: undefined,
      frame,
      dry: mode === 'dry',
    })
    handling.event = event
    try {
      await withDeadline(
        this.host,
        { deadlineMs, signal: undefined, name },
        async () => {
          await subscriber.run(handling as unknown as EventView) // the class has every member of the view; `event` is set
          if (!handling.committed && !handling.storeFailed) await this.#settleAlone(frame)
        },
        (reason) => handling.abort(reason),
      )
    } catch (error) {
      throw handling.storeFailed ? new StoreFailure(error) : error
    }
    if (handling.storeFailed) throw new StoreFailure(new AtollError('UNAVAILABLE', `${name}: its transaction could not commit`))
  }

  /** A handler that opened no transaction has handled its event all the same. */
  async #settleAlone(frame: TransactionFrame): Promise<void> {
    try {
      await this.store.write(async (tx) => {
        await frame.before?.(tx)
        await frame.settle?.(tx, undefined, emptyPosition)
      })
    } catch (error) {
      throw new StoreFailure(error)
    }
  }

  /** Whether they all did, in time. */
  async #operationsEnded(withinMs: number): Promise<boolean> {
    return this.#underWay === 0 || endsWithin(this.host, withinMs, new Promise<void>((resolve) => this.#onIdle.push(resolve)))
  }

  #forgetOldAnswers(): void {
    const { answersKeptMs } = this.options
    this.#tidyTimer = this.host.after(Math.min(answersKeptMs, TIDY_MS), () => {
      if (this.state !== 'running') return
      this.store
        .write((tx) => forgetAnswers(tx, this.host.now() - answersKeptMs))
        .catch((error: unknown) => this.logger.warn({ service: this.name, error }, 'could not forget old answers; will try again'))
      this.#forgetOldAnswers()
    })
  }
}

interface Missing {
  readonly subscription: Subscription
  readonly source: string
  readonly partition: number
  readonly order: string
}

const DRAIN_MS = 10_000
const TIDY_MS = 10 * 60 * 1000
