import { AtollError, type ErrorCode } from '@atoll/host'
import type { System } from 'atoll'
import type { Random } from '../random.ts'
import type { Mishap, Passenger, Point } from '../world/passage.ts'
import type { Backup, World } from '../world/world.ts'
import type { Fault, PassageFault, RestoredPart, TimedFault } from './fault.ts'
import { thrown, type Thrown } from './thrown.ts'

/** Lets the faults of a run happen to its world, and ends them. */
export class Weather {
  /** Of the faults, those that have happened. */
  readonly happened = new Set<Fault>()
  /** Faults that were added because too few of those drawn came to happen. */
  readonly added: Fault[] = []
  /** What failed that should not have: a start after a crash, a stop. */
  readonly failures: unknown[] = []
  readonly #world: World
  readonly #faults: readonly Fault[]
  readonly #next: System | undefined
  readonly #passages = new Map<string, number>()
  readonly #poisoned = new Map<string, PassageFault>()
  readonly #resume = new Set<() => void>()
  /** How slowly is answered now, by service. */
  readonly #latencies = new Map<string, LatencyFault>()
  readonly #random: Random
  /** How often each point was passed by a service that has come back from a crash, since then. */
  readonly #sinceCrash = new Map<string, Map<string, number>>()
  readonly #beganMs: number
  #isOver = false
  #names = 0
  /** By the moments of the parts that are to come back from them. */
  readonly #backups = new Map<number, Backup>()
  #restored: Restored | undefined
  /** Stores and log are being replaced: nobody starts before that is done. */
  #restoring: Promise<void> | undefined
  /** What was acknowledged since then may be gone, by {@link Settled.lostSinceMs}. */
  lostSinceMs: number | undefined
  #isRefused = false
  readonly #onRestored: () => void

  constructor(
    world: World,
    faults: readonly Fault[],
    random: Random,
    next: System | undefined,
    onRestored: () => void,
  ) {
    this.#world = world
    this.#random = random
    this.#onRestored = onRestored
    this.#beganMs = world.clock.elapsedMs
    this.#faults = faults
    this.#next = next
    world.mishapAt = (passenger, point, subject) => this.#mishapAt(passenger, point, subject)
    const moments = faults.flatMap((fault) =>
      fault.kind === 'restore' ? fault.parts.map(({ momentMs }) => momentMs) : [],
    )
    for (const momentMs of new Set(moments))
      world.surroundings.after(momentMs, () =>
        this.#attempt(async () => void this.#backups.set(momentMs, await world.backup())),
      )
    for (const fault of faults) if ('atMs' in fault) world.surroundings.after(fault.atMs, () => this.#strike(fault))
  }

  /**
   * No more faults, but for events that fail whenever they are met: what is paused goes on, what is down is started,
   * one instance of each service.
   */
  async mend(): Promise<void> {
    this.#isOver = true
    while (this.#restoring) await this.#world.clock.advance(RESTORING_MS)
    for (const resume of this.#resume) resume()
    if (this.#restored) await this.#remedy(this.#restored)
    for (const { name } of this.#world.system.services) {
      if (this.#world.instances(name).length > 1) await this.#world.scale(name, 1)
    }
    await this.#world.start()
  }

  /** Whether parts have come back from earlier moments. */
  get hasRestored(): boolean {
    return this.#restored !== undefined
  }

  /** Whether what came back is refused for good reason, so that nobody can ask for much load. */
  get hasRefused(): boolean {
    return (
      this.#isRefused || (this.hasRestored && this.#world.system.services.some(({ name }) => this.#isOutdated(name)))
    )
  }

  /** As an operator would hear of it. */
  #isOutdated(service: string): boolean {
    return this.#world.readiness().brief.includes(`the relay of ${service} is halted: STORE_OUTDATED`)
  }

  /**
   * What the documentation says that mends it: for services that only subscribe nothing, for others the newest copies
   * of their stores; and where the log is older, everything from one moment. Only for whom somebody says that it is
   * needed: a store that had lost nothing has gone on, and is newer than any copy.
   */
  async #remedy({ fault: { parts }, newest }: Restored): Promise<void> {
    const world = this.#world
    if (parts.some(({ name }) => name === 'log')) {
      world.powerLoss()
      const oldest = this.#oldestOf(parts)!
      await world.restore(oldest)
      this.lostSinceMs = oldest.takenMs
      return this.#onRestored()
    }
    const sources = parts.filter(({ name }) =>
      world.system.services.some(
        (service) => service.name === name && service.contract.events.length + service.privateEvents.length > 0,
      ),
    )
    if (sources.length === 0) return
    await world.start()
    await world.clock.advance(LOOKING_MS)
    const outdated = sources.filter(({ name }) => this.#isOutdated(name))
    // What such a source had committed and not handed on was in its store alone, and nobody can know of it.
    this.lostSinceMs = this.#oldestOf(sources.filter((source) => !outdated.includes(source)))?.takenMs
    if (outdated.length === 0) return
    world.powerLoss()
    for (const { name } of outdated) await world.restore(newest, name)
    this.#onRestored()
  }

  #oldestOf(parts: readonly RestoredPart[]): Backup | undefined {
    const moments = parts.map(({ momentMs }) => momentMs)
    return this.#backups.get(Math.min(...moments))
  }

  async #restore(fault: RestoreFault): Promise<void> {
    const world = this.#world
    world.powerLoss()
    const newest = await world.backup()
    // a restore strikes only if it has them all
    for (const { name, momentMs } of fault.parts) await world.restore(this.#backups.get(momentMs)!, name)
    this.#restored = { fault, newest }
    this.#onRestored()
    await new Promise<void>((resolve) => world.surroundings.after(fault.downMs, resolve))
  }

  #startRestored(): void {
    this.#restoring = undefined
    if (this.#isOver) return // mending starts what is down
    for (const { name } of this.#world.system.services) this.#attempt(() => this.#world.launch(name))
  }

  /** Events that fail whenever they are met: each in a subscription, by the two names. */
  get poisoned(): readonly string[] {
    return [...this.#poisoned.keys()]
  }

  /** Nothing fails any more. */
  end(): void {
    this.#world.mishapAt = undefined
  }

  /** One more fault, now. */
  add(random: Random): void {
    const service = random.pick(this.#world.system.services).name
    const fault: TimedFault = {
      kind: 'stop',
      service,
      atMs: Math.floor(this.#world.clock.elapsedMs - this.#beganMs),
      forMs: 1 + random.int(1_000),
    }
    this.added.push(fault)
    this.#strike(fault)
  }

  #mishapAt(passenger: Passenger, point: Point, subject: string | undefined): Mishap | undefined {
    const { service } = passenger
    const place = `${service} ${point}`
    const passage = count(this.#passages, place)
    const poison = subject === undefined ? undefined : this.#poisoned.get(subject)
    if (poison) return this.#toMishap(poison, passenger, subject)
    if (this.#isOver) return undefined
    const sinceCrash = this.#sinceCrash.get(service)
    if (sinceCrash) this.#drain(service, point, count(sinceCrash, point))
    for (const fault of this.#faults) {
      if (!('nth' in fault) || fault.service !== service || pointOf(fault) !== point) continue
      const times = 'times' in fault ? fault.times : 1
      if (passage < fault.nth || passage >= fault.nth + times) continue
      this.#note(fault)
      return this.#toMishap(fault, passenger, subject)
    }
    const latency = this.#latencies.get(service)
    return latency && slowness(point, latency, this.#random)
  }

  #toMishap(fault: PassageFault, passenger: Passenger, subject: string | undefined): Mishap {
    switch (fault.kind) {
      case 'crash':
        passenger.actor.onDeath.add(() => this.#replace(fault, passenger.actor.name))
        return { crash: fault.phase }
      case 'failure':
        return {
          fail: {
            phase: fault.phase,
            error: new AtollError(codeOf(fault), `a simulated ${fault.point} fails ${fault.phase} its effect`),
          },
        }
      case 'delay':
        return { delayMs: fault.ms }
      case 'repeat':
        return { repeatMs: fault.ms }
      case 'error':
        return refusal(fault)
      case 'poison':
        this.#poisoned.set(subject!, fault) // only handlers pass with a subject, and only they are poisoned
        return refusal(fault)
      case 'fatal':
        this.#poisoned.set(subject!, fault) // as above
        return { crash: fault.phase, restartMs: fault.downMs }
    }
  }

  /** Tells a service to stop that has come back from a crash, if this is the passage for it. */
  #drain(service: string, point: Point, passage: number): void {
    const fault = this.#faults.find(
      (one): one is DrainFault =>
        one.kind === 'drain' &&
        one.service === service &&
        one.point === point &&
        one.nthAfterCrash === passage &&
        !this.happened.has(one),
    )
    if (!fault) return
    this.#note(fault)
    this.#world.surroundings.after(0, () => this.#stop(service, fault.downMs))
  }

  #stop(service: string, downMs: number): void {
    if (this.#world.instances(service).length === 0) return
    this.#attempt(async () => {
      await this.#world.stop(service) // which may take longer than it is to be away
      this.#later(downMs, () => this.#launchIfDown(service))
    })
  }

  /** Does something in a while, if faults are still to happen then. */
  #later(afterMs: number, work: () => Promise<void>): void {
    this.#world.surroundings.after(afterMs, () => {
      if (!this.#isOver && !this.#restoring) this.#attempt(work)
    })
  }

  async #launchIfDown(service: string): Promise<void> {
    if (this.#world.instances(service).length === 0) await this.#world.launch(service)
  }

  /** Another instance takes the place of one that crashed. */
  #replace(fault: PassageFault & { kind: 'crash' }, name: string): void {
    // A fault that was under way when faults ended strikes after that, and its instance is missed at once.
    this.#world.surroundings.after(this.#isOver ? 0 : fault.downMs, () => {
      if (this.#restoring) return
      const alive = this.#world.instances(fault.service)
      if (this.#isOver ? alive.length > 0 : alive.includes(name)) return
      this.#sinceCrash.set(fault.service, new Map())
      this.#attempt(() =>
        this.#world.launch(fault.service, fault.renamed ? `${fault.service}-r${++this.#names}` : name),
      )
    })
  }

  #strike(fault: TimedFault): void {
    if (this.#isOver || this.#restoring) return
    const world = this.#world
    switch (fault.kind) {
      case 'power':
        world.powerLoss()
        for (const { name } of world.system.services) this.#later(fault.downMs, () => this.#launchIfDown(name))
        break
      case 'pause': {
        if (world.instances(fault.service).length === 0) return
        const resume = world.pause(fault.service)
        this.#resume.add(resume)
        world.surroundings.after(fault.forMs, resume)
        break
      }
      case 'latency':
        this.#latencies.set(fault.service, fault)
        world.surroundings.after(fault.forMs, () => {
          if (this.#latencies.get(fault.service) === fault) this.#latencies.delete(fault.service)
        })
        break
      case 'clock':
        world.skew(fault.service, fault.byMs)
        break
      case 'second':
        if (world.instances(fault.service).length !== 1) return
        this.#attempt(() => world.launch(fault.service))
        this.#later(fault.forMs, async () => {
          if (world.instances(fault.service).length > 1) await world.scale(fault.service, 1)
        })
        break
      case 'stop':
        if (world.instances(fault.service).length === 0) return
        this.#stop(fault.service, fault.forMs)
        break
      case 'restore':
        if (!fault.parts.every(({ momentMs }) => this.#backups.has(momentMs))) return
        this.#restoring = this.#restore(fault)
        this.#attempt(() => this.#restoring!.then(() => this.#startRestored())) // set above
        break
      case 'deploy':
        this.#attempt(() => world.deploy(this.#next!)) // drawn only if there is one
        break
    }
    this.#note(fault)
  }

  #note(fault: Fault): void {
    this.happened.add(fault)
    this.#world.trace.note(`fault ${fault.kind}`)
  }

  #attempt(work: () => Promise<void>): void {
    work().catch((error: unknown) => {
      // It has given more to the log than that has now.
      if (this.#restored && AtollError.from(error).code === 'LOG_GAP') this.#isRefused = true
      else this.failures.push(error)
    })
  }
}

/** A restore that has happened, and what there was before it. */
interface Restored {
  readonly fault: RestoreFault
  readonly newest: Backup
}

/** Time that goes by between two looks whether a restore is over. */
const RESTORING_MS = 1_000
/** By then each service has looked at its log, and each subscription at what it stands at. */
const LOOKING_MS = 10_000

type LatencyFault = Extract<Fault, { kind: 'latency' }>
type DrainFault = Extract<Fault, { kind: 'drain' }>
type RestoreFault = Extract<Fault, { kind: 'restore' }>

function count(counts: Map<string, number>, what: string): number {
  const next = (counts.get(what) ?? 0) + 1
  counts.set(what, next)
  return next
}

/** Transactions keep their order; reads and appends may be overtaken on both ways. */
function slowness(point: Point, { slow, msMax }: LatencyFault, random: Random): Mishap | undefined {
  const asked =
    point === 'commit' || point === 'load' ? 'stores' : point === 'handle' || point === 'call' ? undefined : 'log'
  if (!asked || !slow.includes(asked)) return undefined
  const [delayMs, answerDelayMs] = [0, 0].map(() => (random.chance(SLOW) ? random.int(msMax + 1) : 0))
  return point === 'commit' ? { answerDelayMs } : { delayMs, answerDelayMs }
}

/** Most come at once: of many that are slow alike, each comes after what was asked for before it. */
const SLOW = 0.25

/** Before the handler has done anything. */
function refusal({ thrown: kind = 'an error' }: { readonly thrown?: Thrown }): Mishap {
  return { fail: { phase: 'before', error: thrown[kind]() } }
}

/** What is out of reach is away; and a store can be full as well, which differs: it is there, and can be read. */
function codeOf({ point, nth }: PassageFault & { kind: 'failure' }): ErrorCode {
  return point === 'commit' && nth % 2 === 1 ? 'STORE_FULL' : 'UNAVAILABLE'
}

function pointOf(fault: PassageFault): Point {
  if (fault.kind === 'repeat') return 'append'
  return fault.kind === 'error' || fault.kind === 'poison' || fault.kind === 'fatal' ? 'handle' : fault.point
}
