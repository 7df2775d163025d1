// One file, because a world is one object: what a test can ask of it stands here, and most of it hands on to the file
// that does it.

import type { Gateway } from '@atoll/gateway'
import { AtollError, type Host } from '@atoll/host'
import type { StoredRecord } from '@atoll/log/driver'
import { kyselyFor, notePlaces } from '@atoll/store'
import type { Reader } from '@atoll/store/driver'
import { createMemoryFolder, createSqliteStores } from '@atoll/store/sqlite'
import type { BoundOperation, EventDefinition, System } from 'atoll'
import {
  mergePositions,
  type DeadLetter,
  type DiscardedLetter,
  type DiscardOptions,
  type LedgerRow,
  type Position,
  type Readiness,
  type RedriveOptions,
  type RedriveOutcome,
} from 'atoll/runtime'
import type { Kysely } from 'kysely'
import type { z } from 'zod'
import { createRandom, type Random } from '../random.ts'
import { Actor } from './actor.ts'
import { Backups, type Backup } from './backup.ts'
import { Clock } from './clock.ts'
import { Driver } from './driver.ts'
import { toMs, type Duration } from './duration.ts'
import { createEdge, readinessOf, toEdgeRequest } from './edge.ts'
import { Fleet } from './fleet.ts'
import { createFlow, type Flow } from './flow.ts'
import { installGuards } from './guards.ts'
import { Instance, type Ended, type InstanceGround } from './instance.ts'
import { SharedLog } from './log.ts'
import { Loops } from './loops.ts'
import { createKeepingLogger, Looker, type Glimpse } from './looker.ts'
import type { Mishap, Passenger, Point } from './passage.ts'
import {
  defaultLoopHandlingsMax,
  defaultRestartMs,
  worldRuntime,
  type AskOptions,
  type Logged,
  type RequestOptions,
  type WorldOptions,
  type WorldResponse,
} from './options.ts'
import { discardLetters, redriveLetters, type Asking } from './redrive.ts'
import { Scheduler } from './scheduler.ts'
import { Sightings } from './sightings.ts'
import { SharedStores } from './stores.ts'
import { Supervisor } from './supervisor.ts'
import { Trace } from './trace.ts'

export type { Backup } from './backup.ts'
export type { Clock } from './clock.ts'
export type { Ended } from './instance.ts'
export type { Glimpse } from './looker.ts'
export type { AskOptions, Logged, RequestOptions, WorldOptions, WorldResponse } from './options.ts'

/**
 * Starts a whole system in this process, in virtual time, on the engines it ships with, kept in memory: no port, no
 * file, no sleep. Every service is an instance of its own that can crash alone. Close it, or declare it with `await
 * using`.
 */
export async function world(system: System, options: WorldOptions = {}): Promise<World> {
  notePlaces()
  const made = await World.create(system, options)
  try {
    await made.start()
    return made
  } catch (error) {
    await made.close() // nobody else could
    throw error
  }
}

/** A running system in a test. Time moves only while somebody waits for one of its methods. */
export class World implements AsyncDisposable {
  readonly seed: number | string
  /** Virtual time. */
  readonly clock: Clock
  /** What was logged, oldest first. */
  readonly logged: Logged[] = []
  /** Instances that ended by what runs in them, each time. */
  readonly ended: Ended[] = []
  /** How often the power went: as often the gateway forgot what its callers had seen. */
  powerLosses = 0
  /** What happened so far, as one number. */
  readonly trace: Trace
  readonly sightings: Sightings
  /** What goes wrong at the next passage of a point; simulations and {@link inject} set it. */
  mishapAt: ((passenger: Passenger, point: Point, subject: string | undefined) => Mishap | undefined) | undefined
  /** Time for what is around the services: what it is asked to call comes whatever they do. */
  readonly surroundings: Host
  readonly #options: WorldOptions
  readonly #random: Random
  readonly #scheduler: Scheduler
  readonly #driver: Driver
  readonly #stores: SharedStores
  readonly #fleet: Fleet
  readonly #backups: Backups
  readonly #looker: Looker
  readonly #supervisor: Supervisor
  readonly #ground: InstanceGround
  readonly #removeGuards = installGuards()
  readonly #injected: { service: string; point: Point; after: number; mishap: Mishap }[] = []
  readonly #readers = new Map<string, Reader>()
  /** What has been seen by those for whom operations were called; by nobody in particular, if undefined. */
  readonly #positions = new Map<string | undefined, Position>()
  #gateway: Gateway | undefined
  #instances = 0

  static async create(system: System, options: WorldOptions): Promise<World> {
    const seed = options.seed ?? 1
    const random = createRandom(seed)
    const trace = new Trace()
    const scheduler = new Scheduler(random.fork('turns'), trace)
    const engine = new Actor('engine', scheduler, random.fork('engine'))
    const loops = new Loops(options.loopHandlingsMax ?? defaultLoopHandlingsMax, () => scheduler.monotonicMs)
    const sightings = new Sightings(loops)
    const log = await SharedLog.open(engine.host, (records) => sightings.appended(records))
    return new World(system, options, { seed, random, trace, scheduler, engine, loops, sightings, log })
  }

  private constructor(
    system: System,
    options: WorldOptions,
    made: {
      seed: number | string
      random: Random
      trace: Trace
      scheduler: Scheduler
      engine: Actor
      loops: Loops
      sightings: Sightings
      log: SharedLog
    },
  ) {
    const { seed, random, trace, scheduler, engine, loops, sightings, log } = made
    this.seed = seed
    this.trace = trace
    this.sightings = sightings
    this.#options = options
    this.#random = random
    this.#scheduler = scheduler
    this.surroundings = engine.host
    this.#driver = new Driver(scheduler, () => loops.take())
    const folder = createMemoryFolder()
    this.#stores = new SharedStores(createSqliteStores({ folder, host: engine.host }), folder)
    this.#fleet = new Fleet(system, random.fork('network'), engine.host)
    this.#backups = new Backups(this.#stores, log, this.#fleet)
    this.clock = new Clock(scheduler, this.#driver)
    this.#ground = {
      surroundings: engine.host,
      stores: this.#stores,
      log: log.port,
      logger: createKeepingLogger(this.logged),
      calls: this.#fleet,
      runtime: { ...worldRuntime, ...options.runtime },
      sightings,
      ended: this.ended,
      note: (text) => trace.note(text),
      supervise: ({ service, actor }, restartMs = options.restartMs ?? defaultRestartMs) =>
        this.#supervisor.restart(service, actor.name, restartMs),
      passes: (instance, point, subject) => this.#pass(instance, point, subject),
    }
    this.#supervisor = new Supervisor(engine.host, (service, name) => this.#launchAgain(service, name))
    this.#looker = new Looker(this.#fleet, engine, this.#ground)
  }

  /** What handlers used that is different in every run. `quiet` rejects with the first. */
  get refusals(): AtollError[] {
    return this.#scheduler.refusals
  }

  get system(): System {
    return this.#fleet.system
  }

  /** Starts what is not up. */
  async start(): Promise<void> {
    this.#gateway ??= this.#createGateway()
    await this.#run(() =>
      Promise.all(
        this.system.services.filter(({ name }) => !this.#fleet.isUp(name)).map(({ name }) => this.#launch(name)),
      ),
    )
  }

  /**
   * Calls an operation, as the gateway would: what its caller has seen is remembered. Resolves with its output. Rejects
   * with AtollError.
   */
  call<Op extends BoundOperation>(
    operation: Op,
    input: z.input<Op['input']>,
    { as }: AskOptions = {},
  ): Promise<z.output<Op['output']>> {
    return this.#run(async () => {
      const caller = as === undefined ? undefined : { id: as, claims: {} }
      const { output, position } = await this.#fleet.dispatch(operation.name, {
        input,
        caller,
        position: this.#positions.get(as),
      })
      if (operation.kind === 'command') this.#positions.set(as, mergePositions(this.#positions.get(as) ?? {}, position))
      return output as z.output<Op['output']> // checked against this very operation's schema
    })
  }

  /** Sends an HTTP request through the gateway, without a socket. It remembers what the caller has seen, as ever. */
  request(method: string, url: string, options: RequestOptions = {}): Promise<WorldResponse> {
    return this.#run(async () => {
      const response = await this.#gateway!.handle(toEdgeRequest(method, url, options))
      this.trace.note(`${method} ${url} ${response.status}`)
      return {
        status: response.status,
        headers: response.headers,
        body: response.body ? (JSON.parse(response.body) as unknown) : undefined,
      }
    })
  }

  /**
   * Resolves when everything that was emitted has been handled, or is a dead letter, or parked behind one, by every
   * service that is up; nothing is pending then but timers. The clock moves as far as retries need. NOT_QUIET after
   * `within` (10 minutes by default); NONDETERMINISTIC if a handler used what is different in every run.
   */
  async quiet({ within = '10m' }: { within?: Duration } = {}): Promise<void> {
    const untilMs = this.#scheduler.monotonicMs + toMs(within)
    let pending: readonly string[] | undefined
    const isMet = (): boolean => pending?.length === 0 || this.#scheduler.monotonicMs >= untilMs
    const whenStill = async (): Promise<void> => {
      const running = this.#fleet.all.filter((instance) => instance.running)
      // such as a timer whose service was down
      const isDue = (this.#scheduler.nextMs ?? Infinity) <= this.#scheduler.monotonicMs
      const { coming } = this.#supervisor
      if (coming.length > 0)
        return void (pending = coming.map((name) => `${name} has ended and is to be started again`))
      pending =
        !isDue && running.every((instance) => instance.running!.idle)
          ? await this.#looker.pending()
          : ['something is in hand']
    }
    await this.#driver.reach({ isMet, whenStill, untilMs })
    for (const refusal of this.refusals.splice(0)) throw refusal
    if (pending?.length !== 0)
      throw new AtollError(
        'NOT_QUIET',
        `after ${within} of virtual time there was still: ${pending?.join('; ') ?? 'work in hand'}`,
      )
  }

  /** Every instance of a service is gone at once, in the midst of what it does. What has committed stays. */
  crash(service: string): void {
    this.#supervisor.forget(service)
    for (const instance of this.#fleet.of(service)) instance.crash()
  }

  /** The power goes: every service and the gateway are gone at once. */
  powerLoss(): void {
    this.powerLosses++
    for (const { name } of this.system.services) this.crash(name)
    this.#gateway = this.#createGateway()
  }

  /**
   * Starts a service that crashed or was stopped; one that is up is drained and ended before, and has as many instances
   * afterwards.
   */
  async restart(service: string): Promise<void> {
    const count = this.#fleet.of(service).length
    await this.stop(service)
    await this.scale(service, Math.max(1, count))
  }

  /** Drains and ends a service. */
  async stop(service: string): Promise<void> {
    this.#supervisor.forget(service)
    await this.#run(() => Promise.all(this.#fleet.of(service).map((instance) => instance.stop())))
  }

  /** Makes it so many instances: starts some, or drains and ends the youngest. */
  async scale(service: string, count: number): Promise<void> {
    const instances = this.#fleet.of(service)
    await this.#run(() =>
      Promise.all([
        ...Array.from({ length: count - instances.length }, () => this.#launch(service)),
        ...instances.slice(count).map((instance) => instance.stop()),
      ]),
    )
  }

  /**
   * One instance of a service does nothing more until the answer is called, and does not know: the pause that leases
   * are for.
   */
  pause(service: string): () => void {
    const instance = this.#fleet.of(service)[0]
    if (!instance)
      throw new AtollError('UNAVAILABLE', `no instance of ${service} is up that could be paused; restart it first`)
    instance.actor.pause()
    this.trace.note(`pause ${instance.actor.name}`)
    return () => {
      this.trace.note(`resume ${instance.actor.name}`)
      instance.actor.resume()
    }
  }

  /** Sets the wall clock of a service's instances off by so much, in either direction. */
  skew(service: string, by: Duration): void {
    for (const { actor } of this.#fleet.of(service)) actor.skewMs += toMs(by)
  }

  /**
   * Another version of the system takes over, service by service: each is drained and ended, and its new version
   * started. Services that it does not have any more are ended.
   */
  async deploy(next: System): Promise<void> {
    for (const { name } of this.system.services)
      if (!next.services.some((service) => service.name === name)) await this.stop(name)
    this.#fleet.system = next
    this.#gateway = this.#createGateway()
    for (const { name } of next.services) await this.restart(name)
  }

  /**
   * Keeps what is there now, of everything or of the parts that are named: a service, which is its store and those of
   * its projections; one projection (`mail.counts`); the `log`. Nothing has to stand still for it.
   */
  backup(...parts: string[]): Promise<Backup> {
    return this.#run(async () => {
      for (;;) {
        const backup = this.#backups.take(parts, this.#scheduler.monotonicMs)
        if (backup) return backup
        await new Promise<void>((resolve) => this.surroundings.turn(resolve))
      }
    })
  }

  /**
   * Puts back what a backup has, or some parts of it: what came after it is gone there, and only there. What callers
   * have seen stays with them. DATA_IN_USE while an instance has it open: of a store its service, of the log any. Stop
   * them before, and start them after.
   */
  restore(backup: Backup, ...parts: string[]): Promise<void> {
    this.trace.note(`restore ${parts.length > 0 ? parts.join(' ') : backup.parts.join(' ')} of ${backup.takenMs}`)
    return this.#run(() => this.#backups.restore(backup, parts))
  }

  /** Parts of it are gone, as with a disk of which there is no backup. DATA_IN_USE as {@link restore}. */
  lose(...parts: [string, ...string[]]): Promise<void> {
    this.trace.note(`lose ${parts.join(' ')}`)
    return this.#run(() => this.#backups.lose(parts))
  }

  /** Makes something go wrong the next time that a service passes a point, or the `nth` time. */
  inject(service: string, point: Point, mishap: Mishap, nth = 1): void {
    this.#fleet.of(service)
    this.#injected.push({ service, point, after: nth - 1, mishap })
  }

  /**
   * Calls `look` whenever the world stands still and the clock is about to move, until the answer is called. It may
   * read, and not run.
   */
  onStill(look: (glimpse: Glimpse) => Promise<void>): () => void {
    const glimpse: Glimpse = {
      ledger: () => this.#looker.look((admin) => admin.ledger()),
      events: (event) => this.#looker.look((admin) => Array.fromAsync(admin.events({ type: event?.name }))),
      readiness: () => this.readiness(),
      db: (service) => this.db(service),
      elapsedMs: () => this.#scheduler.monotonicMs,
    }
    return this.#driver.onStill(() => this.#scheduler.within('an invariant', () => look(glimpse)))
  }

  /** The accounts of every subscription: published = handled + pending + parked + dead + discarded. */
  ledger(): Promise<LedgerRow[]> {
    return this.#run(() => this.#looker.look((admin) => admin.ledger()))
  }

  /** Rejects with LEDGER_UNBALANCED if an event is lost or counts twice anywhere. */
  async assertConserved(): Promise<void> {
    const wrong = (await this.ledger()).filter((row) => !row.balanced)
    if (wrong.length === 0) return
    const accounts = wrong.map(
      (row) =>
        `${row.event} in ${row.subscription}: published ${row.published}, handled ${row.handled}, pending ${row.pending}, parked ${row.parked}, dead ${row.dead}, discarded ${row.discarded}`,
    )
    throw new AtollError(
      'LEDGER_UNBALANCED',
      `events are lost or count twice (seed ${this.seed}): ${accounts.join('; ')}`,
    )
  }

  deadLetters(): Promise<DeadLetter[]> {
    return this.#run(() => this.#looker.look((admin) => admin.deadLetters()))
  }

  /** Handles dead letters again, and what waits behind them. UNAVAILABLE if a service whose they are is down. */
  redrive(options: RedriveOptions = {}): Promise<RedriveOutcome[]> {
    return this.#run(() => redriveLetters(options, this.#asking))
  }

  /**
   * Ends dead letters without handling them: the one of that id, or all of a subscription. COMMAND_USAGE for what is
   * not dead.
   */
  discard(options: Omit<DiscardOptions, 'by'> & { readonly by?: string }): Promise<DiscardedLetter[]> {
    return this.#run(() => discardLetters({ by: 'a test', ...options }, this.#asking))
  }

  /** What was discarded: who did it, when and why. */
  discarded(): Promise<DiscardedLetter[]> {
    return this.#run(() => this.#looker.look((admin) => admin.discarded()))
  }

  get #asking(): Asking {
    return {
      looker: this.#looker,
      fleet: this.#fleet,
      host: this.surroundings,
      leaseMs: this.#ground.runtime.leaseMs ?? worldRuntime.leaseMs,
    }
  }

  /**
   * The events in the log, in the order of their numbers per source and partition; of one definition, or of one key, if
   * asked for.
   */
  events(event?: EventDefinition, { key }: { key?: string } = {}): Promise<StoredRecord[]> {
    return this.#run(() => this.#looker.look((admin) => Array.fromAsync(admin.events({ type: event?.name, key }))))
  }

  /** Whether every service is up and each of its instances can do its work; if not, why. */
  readiness(): Readiness {
    return readinessOf(this.#fleet)
  }

  /** Whether a request of this id was sent to any service. */
  wasRequested(requestId: string): boolean {
    return this.#fleet.requestIds.has(requestId)
  }

  /**
   * What an event led to: in which subscriptions, with which effect, and what came of that. Print it to see it as a
   * tree.
   */
  async flow(event: string | { readonly id: string }): Promise<Flow> {
    return createFlow(typeof event === 'string' ? event : event.id, await this.events(), this.system, this.sightings)
  }

  /** Ends it, with nothing left behind. Idempotent. */
  async close(): Promise<void> {
    for (const instance of this.#fleet.all) instance.actor.die()
    await this.#gateway?.close({ drainMs: 0 })
    this.#removeGuards()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Runs until `work`, which is done on behalf of the world, has settled. */
  #run<T>(work: () => Promise<T>): Promise<T> {
    return this.#driver.complete(this.#scheduler.within('a test', work))
  }

  /**
   * Starts one more instance of a service, under a name of its own: by default the first that is free of `orders-1`,
   * `orders-2`, …
   */
  launch(service: string, name?: string): Promise<void> {
    return this.#run(() => this.#launch(service, name))
  }

  /** The names of the instances of a service that are not dead. */
  instances(service: string): string[] {
    return this.#fleet.of(service).map(({ actor }) => actor.name)
  }

  /** Committed state of a service's own store, for looking past its operations. */
  db<Tables>(service: string): Kysely<Tables> {
    let reader = this.#readers.get(service)
    if (!reader) this.#readers.set(service, (reader = this.#stores.reader(service)))
    return kyselyFor<Tables>(reader) // the caller knows its tables
  }

  async #launch(service: string, wanted?: string): Promise<void> {
    const taken = this.instances(service)
    let slot = 1
    while (taken.includes(`${service}-${slot}`)) slot++
    const name = wanted ?? `${service}-${slot}`
    if (taken.includes(name)) throw new AtollError('DATA_IN_USE', `there is an instance ${name} already`)
    const actor = new Actor(name, this.#scheduler, this.#random.fork(`instance ${++this.#instances}`))
    const instance = new Instance(service, actor, this.#ground)
    this.#fleet.add(instance)
    await actor.within(() => instance.start(this.system))
  }

  /** Nobody waits for it: what keeps it from starting is logged, and `start` meets it again. */
  async #launchAgain(service: string, name: string): Promise<void> {
    if (this.instances(service).includes(name)) return
    await this.#launch(service, name).catch((error: unknown) =>
      this.#ground.logger.error({ instance: name, error }, `${name} could not be started again`),
    )
  }

  #pass(instance: Instance, point: Point, subject: string | undefined): Mishap | undefined {
    let injected: Mishap | undefined
    for (const one of this.#injected)
      if (one.service === instance.service && one.point === point && one.after-- === 0) injected = one.mishap
    if (injected) return injected
    return this.mishapAt?.(instance, point, subject)
  }

  #createGateway(): Gateway {
    const actor = new Actor('gateway', this.#scheduler, this.#random.fork(`gateway ${++this.#instances}`))
    return createEdge(this.#fleet, actor.host, this.#ground.logger, this.#options.gateway)
  }
}
