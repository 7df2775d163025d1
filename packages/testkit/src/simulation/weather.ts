import { AtollError, type ErrorCode } from '@atoll/host'
import type { System } from 'atoll'
import type { Random } from '../random.ts'
import type { Mishap, Passenger, Point } from '../world/passage.ts'
import type { World } from '../world/world.ts'
import type { Fault, PassageFault, TimedFault } from './fault.ts'
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
  readonly #beganMs: number
  #isOver = false
  #names = 0

  constructor(world: World, faults: readonly Fault[], next: System | undefined) {
    this.#world = world
    this.#beganMs = world.clock.elapsedMs
    this.#faults = faults
    this.#next = next
    world.mishapAt = (passenger, point, subject) => this.#mishapAt(passenger, point, subject)
    for (const fault of faults) if ('atMs' in fault) world.surroundings.after(fault.atMs, () => this.#strike(fault))
  }

  /** No more faults, but for events that fail whenever they are met: what is paused goes on, what is down is started, one instance of each service. */
  async mend(): Promise<void> {
    this.#isOver = true
    for (const resume of this.#resume) resume()
    for (const { name } of this.#world.system.services) {
      if (this.#world.instances(name).length > 1) await this.#world.scale(name, 1)
    }
    await this.#world.start()
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
    const fault: TimedFault = { kind: 'stop', service, atMs: Math.floor(this.#world.clock.elapsedMs - this.#beganMs), forMs: 1 + random.int(1_000) }
    this.added.push(fault)
    this.#strike(fault)
  }

  #mishapAt(passenger: Passenger, point: Point, subject: string | undefined): Mishap | undefined {
    const { service } = passenger
    const place = `${service} ${point}`
    const passage = (this.#passages.get(place) ?? 0) + 1
    this.#passages.set(place, passage)
    const poison = subject === undefined ? undefined : this.#poisoned.get(subject)
    if (poison) return this.#toMishap(poison, passenger, subject)
    if (this.#isOver) return undefined
    for (const fault of this.#faults) {
      if (!('nth' in fault) || fault.service !== service || pointOf(fault) !== point) continue
      const times = 'times' in fault ? fault.times : 1
      if (passage < fault.nth || passage >= fault.nth + times) continue
      this.#note(fault)
      return this.#toMishap(fault, passenger, subject)
    }
    return undefined
  }

  #toMishap(fault: PassageFault, passenger: Passenger, subject: string | undefined): Mishap {
    switch (fault.kind) {
      case 'crash':
        passenger.actor.onDeath.add(() => this.#replace(fault, passenger.actor.name))
        return { crash: fault.phase }
      case 'failure':
        return { fail: { phase: fault.phase, error: new AtollError(codeOf(fault), `a simulated ${fault.point} fails ${fault.phase} its effect`) } }
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

  /** Another instance takes the place of one that crashed. */
  #replace(fault: PassageFault & { kind: 'crash' }, name: string): void {
    // A fault that was under way when faults ended strikes after that, and its instance is missed at once.
    this.#world.surroundings.after(this.#isOver ? 0 : fault.downMs, () => {
      const alive = this.#world.instances(fault.service)
      if (this.#isOver ? alive.length > 0 : alive.includes(name)) return
      this.#attempt(() => this.#world.launch(fault.service, fault.renamed ? `${fault.service}-r${++this.#names}` : name))
    })
  }

  #strike(fault: TimedFault): void {
    if (this.#isOver) return
    const world = this.#world
    const later = (afterMs: number, work: () => Promise<void>): void => {
      world.surroundings.after(afterMs, () => {
        if (!this.#isOver) this.#attempt(work)
      })
    }
    const launchIfDown = (service: string) => async (): Promise<void> => {
      if (world.instances(service).length === 0) await world.launch(service)
    }
    switch (fault.kind) {
      case 'power':
        world.powerLoss()
        for (const { name } of world.system.services) later(fault.downMs, launchIfDown(name))
        break
      case 'pause': {
        if (world.instances(fault.service).length === 0) return
        const resume = world.pause(fault.service)
        this.#resume.add(resume)
        world.surroundings.after(fault.forMs, resume)
        break
      }
      case 'clock':
        world.skew(fault.service, fault.byMs)
        break
      case 'second':
        if (world.instances(fault.service).length !== 1) return
        this.#attempt(() => world.launch(fault.service))
        later(fault.forMs, async () => {
          if (world.instances(fault.service).length > 1) await world.scale(fault.service, 1)
        })
        break
      case 'stop':
        if (world.instances(fault.service).length === 0) return
        this.#attempt(async () => {
          await world.stop(fault.service) // which may take longer than it is to be away
          later(fault.forMs, launchIfDown(fault.service))
        })
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
    work().catch((error: unknown) => this.failures.push(error))
  }
}

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
