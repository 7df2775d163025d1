import { AtollError } from '@atoll/host'
import type { System } from 'atoll'
import type { BoundOperation } from 'atoll'
import type { z } from 'zod'
import { createRandom, type Random } from '../random.ts'
import {
  world as createWorld,
  type AskOptions,
  type Ended,
  type Glimpse,
  type RequestOptions,
  type World,
  type WorldOptions,
  type WorldResponse,
} from '../world/world.ts'
import { assertCauses, assertDead, watchOrder } from './checks.ts'
import { drawFaults, drawsLatency } from './draw.ts'
import type { Fault, FaultKind } from './fault.ts'
import { Weather } from './weather.ts'

/** What is simulated, and what must hold. */
export interface Simulation<State> {
  /** What a run remembers, made anew for each; a model of what the system should be, for one. */
  readonly begin?: () => State
  /** Before anything goes wrong. */
  readonly setup?: (run: Settled<State>) => Promise<void>
  /**
   * One step of one client, taken again and again. What it is refused because something is down (UNAVAILABLE, BEHIND,
   * …) ends the step and nothing else, and whether that had an effect is not known; anything else that it throws fails
   * the run.
   */
  readonly workload: (client: Client<State>) => Promise<void>
  readonly invariants?: {
    /** Hold in every moment. They may look, and not call: nothing moves while they do. */
    readonly always?: Readonly<Record<string, (run: Glimpse & { readonly state: State }) => Promise<void> | void>>
    /** Hold when everything is mended, redriven and quiet. */
    readonly settled?: Readonly<Record<string, (run: Settled<State>) => Promise<void> | void>>
  }
  /** The next version of the system, for faults that deploy it in mid-flow. */
  readonly next?: System
  /** Clients at work side by side. Default 3. */
  readonly clients?: number
  /** Steps of each client. Default 30. */
  readonly steps?: number
  /**
   * Clients go on until so many events have been emitted and so many faults have happened. A run with fewer, after ten
   * times its steps, has failed.
   */
  readonly least?: { readonly events?: number; readonly faults?: number }
  /** Which kinds of faults may happen. Default: all but `restore`. */
  readonly faults?: readonly FaultKind[]
  /** How many faults are drawn. Default 6 to 14; not all of them come to happen. */
  readonly faultCount?: { readonly least: number; readonly most: number }
  readonly world?: Omit<WorldOptions, 'seed'>
}

/** One client of a workload. */
export interface Client<State> {
  readonly name: string
  readonly random: Random
  readonly state: State
  readonly world: World
  call: World['call']
  request: World['request']
  /** Lets virtual time go by. */
  pause(ms: number): Promise<void>
}

/** A system at rest. */
export interface Settled<State> {
  readonly world: World
  readonly state: State
  readonly random: Random
  /**
   * What was acknowledged since then may be gone, since parts came back as they had been: milliseconds since the world
   * began. Undefined if all that was ever acknowledged must be there, which also holds where the remedy brought it
   * back.
   */
  readonly lostSinceMs: number | undefined
}

/** What became of one run. */
export interface RunReport {
  readonly seed: number | string
  readonly events: number
  readonly faults: readonly Fault[]
  /** Of those, the ones that happened. */
  readonly happened: number
  readonly trace: string
  readonly elapsedMs: number
  readonly failure: { readonly invariant: string; readonly error: unknown } | undefined
}

/**
 * Runs one seed: setup, load and faults, then everything is mended, and what must hold is looked at. `faults` instead
 * of those that the seed draws.
 */
export async function runSeed<State>(
  system: System,
  simulation: Simulation<State>,
  seed: number | string,
  faults?: readonly Fault[],
): Promise<RunReport> {
  const random = createRandom(seed)
  const chance = random.fork('faults')
  const drawn =
    faults ??
    drawFaults(chance, {
      system,
      hasNext: simulation.next !== undefined,
      kinds: simulation.faults,
      count: simulation.faultCount ?? { least: 6, most: 14 },
      spanMs: SPAN_MS,
      leaseMs: LEASE_MS,
    })
  // Where answers take time, few handlings at once are soon too few for all that comes of a key.
  const few = drawsLatency(chance, simulation.faults) ? { handlingsInFlightMax: 2 + random.fork('few').int(7) } : {}
  const runtime = {
    leaseMs: LEASE_MS,
    lookMs: 1_000,
    attemptsMax: 4,
    partitions: 2,
    ...few,
    ...simulation.world?.runtime,
  }
  const world = await createWorld(system, { ...simulation.world, runtime, seed })
  const run = new Run(world, simulation, random, faults === undefined)
  try {
    const weather = await run.through(drawn)
    const { length: events } = await world.events()
    return {
      seed,
      events,
      faults: [...drawn, ...(weather?.added ?? [])],
      happened: weather?.happened.size ?? 0,
      trace: world.trace.hash,
      elapsedMs: world.clock.elapsedMs,
      failure: run.failure,
    }
  } finally {
    await world.close()
  }
}

class Run<State> {
  failure: { invariant: string; error: unknown } | undefined
  readonly #world: World
  readonly #simulation: Simulation<State>
  readonly #random: Random
  readonly #state: State
  readonly #least: { readonly events: number; readonly faults: number }

  /** `isDrawn`: its faults are those of the seed. Of a list that was shrunk, nobody can ask for more. */
  constructor(world: World, simulation: Simulation<State>, random: Random, isDrawn: boolean) {
    this.#least = { events: simulation.least?.events ?? 0, faults: isDrawn ? (simulation.least?.faults ?? 0) : 0 }
    this.#world = world
    this.#simulation = simulation
    this.#random = random
    this.#state = simulation.begin?.() as State // without `begin` there is no state, and nobody has a type for it
  }

  async through(faults: readonly Fault[]): Promise<Weather | undefined> {
    const world = this.#world
    const settled = {
      world,
      state: this.#state,
      random: this.#random.fork('settled'),
      lostSinceMs: undefined as number | undefined,
    }
    const order = watchOrder(world)
    await this.#hold('setup', async () => this.#simulation.setup?.(settled))
    if (this.failure) return undefined
    await this.#hold('setup', () => world.quiet())
    const weather = new Weather(world, faults, this.#random.fork('latency'), this.#simulation.next, () =>
      order.forget(),
    )
    const stopLooking = this.#lookAlways(weather)
    try {
      await this.#hold('workload', () => this.#work(weather))
      await this.#hold('the load comes about', () => {
        const { events, faults: count } = this.#least
        if ((world.sightings.events >= events || weather.hasRefused) && weather.happened.size >= count) return
        throw new AtollError(
          'INVARIANT_BROKEN',
          `there were ${world.sightings.events} events and ${weather.happened.size} faults, and at the least ${events} and ${count} were wanted: is everything refused?`,
        )
      })
      await this.#hold('every run of a seed is the same', () => {
        if (world.refusals[0]) throw world.refusals[0]
      })
      await this.#holdAlive()
      if (!this.failure) await this.#hold('recovery', () => this.#recover(weather))
    } finally {
      stopLooking()
    }
    settled.lostSinceMs = weather.lostSinceMs
    await this.#holdAlive()
    await this.#hold('each event of a key has its effect once and in order', () => {
      if (order.wrong.length > 0) throw new AtollError('INVARIANT_BROKEN', order.wrong.join('; '))
    })
    await this.#hold('published = handled + pending + parked + dead + discarded', () => world.assertConserved())
    await this.#hold('nothing is handled before what caused it', () => assertCauses(world))
    for (const [name, check] of Object.entries(this.#simulation.invariants?.settled ?? {}))
      await this.#hold(name, () => check(settled))
    return weather
  }

  async #work(weather: Weather): Promise<void> {
    const { clients = 3, steps = 30, workload } = this.#simulation
    const least = this.#least
    const random = this.#random.fork('added faults') // a client's would do other things when they are replayed
    const isEnough = (): boolean =>
      this.#world.sightings.events >= least.events && weather.happened.size >= least.faults
    await Promise.all(
      Array.from({ length: clients }, async (_, index) => {
        const client = this.#createClient(`client-${index + 1}`)
        for (let step = 0; !this.failure && (step < steps || (step < 10 * steps && !isEnough())); step++) {
          if (step >= 5 * steps && weather.happened.size < least.faults) weather.add(random)
          await client.pause(Math.floor((client.random.next() ** 2 * 2 * SPAN_MS) / steps))
          try {
            await workload(client)
          } catch (error) {
            if (!(error instanceof AtollError && error.retryable)) throw error
          }
        }
      }),
    )
  }

  #createClient(name: string): Client<State> {
    const world = this.#world
    return {
      name,
      random: this.#random.fork(name),
      state: this.#state,
      world,
      call: <Op extends BoundOperation>(operation: Op, input: z.input<Op['input']>, options?: AskOptions) =>
        world.call(operation, input, options),
      request: (method: string, url: string, options?: RequestOptions): Promise<WorldResponse> =>
        world.request(method, url, { address: name, ...options }),
      pause: (ms) => world.clock.advance(ms),
    }
  }

  async #recover(weather: Weather): Promise<void> {
    const world = this.#world
    await weather.mend()
    if (weather.failures.length > 0) throw weather.failures[0]
    await this.#hold('an event that keeps failing is a dead letter, and holds up no other', async () => {
      await world.quiet({ within: '10m' })
      await assertDead(world, weather.poisoned)
    })
    if (this.failure) return
    weather.end()
    // A letter may lie behind one that was redriven before it, or where nobody reads until a lease has run out.
    for (let round = 0; round < REDRIVES && (await world.deadLetters()).length > 0; round++) {
      await world.clock.advance(LEASE_MS)
      // By name, since some have ended a process; one may have gone along with another of its key.
      for (const { id } of await world.deadLetters()) await world.redrive({ id }).catch(unlessGone)
      await world.quiet({ within: '10m' })
    }
    const waiting = (await world.ledger()).filter((row) => row.pending + row.parked + row.dead > 0)
    if (waiting.length > 0) {
      throw new AtollError(
        'INVARIANT_BROKEN',
        `after all was mended and redriven there is still: ${waiting.map((row) => `${row.event} in ${row.subscription} (${row.pending} pending, ${row.parked} parked, ${row.dead} dead)`).join('; ')}`,
      )
    }
  }

  /** Looks now and then, when nothing moves, whether what holds always does. */
  #lookAlways(weather: Weather): () => void {
    const checks = Object.entries(this.#simulation.invariants?.always ?? {})
    const random = this.#random.fork('looks')
    let nextMs = 0
    return this.#world.onStill(async (glimpse) => {
      if (this.failure || glimpse.elapsedMs() < nextMs) return
      nextMs = glimpse.elapsedMs() + random.int(LOOK_MS)
      for (const [name, check] of checks) await this.#hold(name, () => check({ ...glimpse, state: this.#state }))
      await this.#hold('published = handled + pending + parked + dead + discarded', async () => {
        // what came back from different moments need not balance, as long as somebody says so
        if (weather.hasRestored && !glimpse.readiness().ready) return
        const wrong = (await glimpse.ledger()).find((row) => !row.balanced)
        if (wrong) throw new AtollError('LEDGER_UNBALANCED', JSON.stringify(wrong))
      })
    })
  }

  /** Supervisors bring it back, so nothing else would tell. */
  #holdAlive(): Promise<void> {
    return this.#hold('no process ends by what runs in it', () => {
      if (this.#world.ended[0]) throw endOf(this.#world.ended[0])
    })
  }

  async #hold(invariant: string, check: () => Promise<void> | void): Promise<void> {
    if (this.failure) return
    try {
      await check()
    } catch (error) {
      this.failure ??= { invariant, error }
    }
  }
}

function endOf({ instance, how, error }: Ended): AtollError {
  return new AtollError(
    'INVARIANT_BROKEN',
    `${instance} has ended: ${how}${error instanceof Error ? ` (${error.message})` : ''}`,
    { cause: error },
  )
}

/** How long the load goes on, about, in virtual time. */
const SPAN_MS = 20_000
/** Short, so that pauses outlast it. */
const LEASE_MS = 4_000
/** Time between two looks at what holds always, at the most. */
const LOOK_MS = 6_000
const REDRIVES = 5

function unlessGone(error: unknown): void {
  if (AtollError.from(error).code !== 'COMMAND_USAGE') throw error
}
