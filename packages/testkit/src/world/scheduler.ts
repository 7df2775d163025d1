import { AsyncLocalStorage } from 'node:async_hooks'
import { Heap, type AtollError, type Timer } from '@atoll/host'
import type { Random } from '../random.ts'
import type { Actor } from './actor.ts'
import type { Trace } from './trace.ts'

/** Set while code of a world runs: what it must not touch asks for it. */
export const inside = new AsyncLocalStorage<Inside | undefined>()

/** Whose code runs, and what it was refused. */
export interface Inside {
  readonly name: string
  readonly refusals: AtollError[]
  /** Ends whoever it is, as a process ends by what runs in it. Undefined for who is no process. */
  readonly end: ((how: string, error?: unknown) => void) | undefined
}

/** The real one, whatever a world refuses later. */
const realTurn = setImmediate

/**
 * Virtual time, and the order in which things happen: which of the actors that are ready takes its next turn is drawn
 * by the seed, and the clock moves when none is ready. One turn, and every promise that settles after it, is done
 * before the next begins.
 */
export class Scheduler {
  /** Milliseconds since the world began. */
  monotonicMs = 0
  /** What code of this world was refused. */
  readonly refusals: AtollError[] = []
  readonly #random: Random
  readonly #trace: Trace
  /** Actors that have turns waiting. */
  readonly #ready: Actor[] = []
  readonly #timers = new TimerQueue()
  #order = 0

  constructor(random: Random, trace: Trace) {
    this.#random = random
    this.#trace = trace
  }

  /** Runs code of this world, on behalf of `name`, who can be ended if it is a process. */
  within<T>(name: string, work: () => T, end?: Inside['end']): T {
    return inside.run({ name, refusals: this.refusals, end }, work)
  }

  turn(actor: Actor, callback: () => void): void {
    if (actor.turns.length === 0) this.#ready.push(actor)
    actor.turns.push(callback)
  }

  after(actor: Actor, delayMs: number, callback: () => void): Timer {
    const timer: VirtualTimer = {
      dueMs: this.monotonicMs + Math.max(0, delayMs),
      order: this.#order++,
      actor,
      callback,
      cancelled: false,
    }
    this.#timers.push(timer)
    return { cancel: () => void (timer.cancelled = true) }
  }

  /** Takes one turn, if anybody is ready. */
  async step(): Promise<boolean> {
    let actor: Actor
    let callback: (() => void) | undefined
    do {
      if (this.#ready.length === 0) return false
      const index = this.#ready.length === 1 ? 0 : this.#random.int(this.#ready.length)
      actor = this.#ready[index]!
      callback = actor.turns.shift() // the dead have none left
      if (actor.turns.length === 0) this.#ready.splice(index, 1)
    } while (!callback)
    this.#trace.note(`turn ${actor.name}`)
    await this.#run(actor, callback)
    return true
  }

  /** Whether anybody may take a turn. */
  get isReady(): boolean {
    return this.#ready.length > 0
  }

  /** When the next timer is due; undefined if there is none. */
  get nextMs(): number | undefined {
    return this.#timers.first?.dueMs
  }

  /** Moves the clock to the next timer and calls it. */
  async fire(): Promise<void> {
    const timer = this.#timers.take()!
    this.monotonicMs = Math.max(this.monotonicMs, timer.dueMs)
    this.#trace.note(`at ${this.monotonicMs} ${timer.actor.name}`)
    await this.#run(timer.actor, timer.callback)
  }

  /** Waits until every promise that can settle by itself has settled. */
  settle(): Promise<void> {
    return new Promise((resolve) => realTurn(resolve))
  }

  #run(actor: Actor, callback: () => void): Promise<void> {
    actor.whenAwake(() => actor.within(callback))
    return this.settle()
  }
}

interface VirtualTimer {
  readonly dueMs: number
  /** Of two that are due at once, the one that was set first goes first. */
  readonly order: number
  readonly actor: Actor
  readonly callback: () => void
  cancelled: boolean
}

/** Timers by when they are due. Those that were cancelled, and those of the dead, leave the heap when they come up. */
class TimerQueue {
  readonly #heap = new Heap<VirtualTimer>((a, b) => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order))

  get first(): VirtualTimer | undefined {
    for (;;) {
      const { first } = this.#heap
      if (!first || (!first.cancelled && !first.actor.isDead)) return first
      this.#heap.take()
    }
  }

  push(timer: VirtualTimer): void {
    this.#heap.push(timer)
  }

  take(): VirtualTimer | undefined {
    return this.first && this.#heap.take()
  }
}
