import { AtollError } from '@atoll/host'
import type { Scheduler } from './scheduler.ts'

/** What somebody waits for, as far as it concerns the clock. */
export interface Goal {
  /** Looked at after every turn. */
  isMet(): boolean
  /** Asked when nobody is ready, before the clock moves: perhaps this is what was waited for. */
  whenStill?(): Promise<void>
  /** The clock does not move past this, milliseconds since the world began; reaching it meets the goal. */
  readonly untilMs?: number
}

/** Runs a world as long as somebody waits for it: turn after turn, and when nobody is ready, on to the next timer. */
export class Driver {
  readonly #scheduler: Scheduler
  readonly #findLoop: () => AtollError | undefined
  readonly #goals = new Set<Goal>()
  readonly #onStill = new Set<() => Promise<void>>()
  #running: Promise<void> | undefined

  /** `findLoop` is asked after every turn: what it answers is thrown to everybody who waits. */
  constructor(scheduler: Scheduler, findLoop: () => AtollError | undefined) {
    this.#scheduler = scheduler
    this.#findLoop = findLoop
  }

  /** Resolves when the goal is met. */
  async reach(goal: Goal): Promise<void> {
    this.#goals.add(goal)
    try {
      // A goal that is added while the world runs is met by that run, unless it ends for the others first.
      while (!goal.isMet() && this.#goals.has(goal))
        await (this.#running ??= this.#run().finally(() => (this.#running = undefined)))
    } finally {
      this.#goals.delete(goal)
    }
  }

  /**
   * Calls `look` whenever nobody is ready, until the answer is called. What it throws is thrown to everybody who waits.
   */
  onStill(look: () => Promise<void>): () => void {
    this.#onStill.add(look)
    return () => void this.#onStill.delete(look)
  }

  /**
   * Resolves or rejects as `work` does, with the world running meanwhile. NOT_QUIET if it takes longer than anything
   * should.
   */
  async complete<T>(work: Promise<T>): Promise<T> {
    let settled = false
    const settle = (): void => void (settled = true)
    work.then(settle, settle)
    const untilMs = this.#scheduler.monotonicMs + WORK_MS_MAX
    await this.reach({ isMet: () => settled || this.#scheduler.monotonicMs >= untilMs, untilMs })
    if (settled) return work
    throw new AtollError(
      'NOT_QUIET',
      'what was asked for has not come in an hour of virtual time: it waits for an instance that is paused, or for something outside of this world',
    )
  }

  async #run(): Promise<void> {
    const scheduler = this.#scheduler
    await scheduler.settle()
    while (!this.#endMet()) {
      const loop = this.#findLoop()
      if (loop) {
        this.#goals.clear()
        throw loop
      }
      if (await scheduler.step()) continue
      if (await this.#look()) {
        await scheduler.settle()
        if (this.#endMet() || scheduler.isReady) continue
      }
      await this.#moveClock()
    }
  }

  /** Lets those look who asked to, if any did: nobody moves before they have seen it. */
  async #look(): Promise<boolean> {
    let looked = false
    for (const look of this.#onStill) {
      await look()
      looked = true
    }
    for (const goal of this.#goals) {
      if (!goal.whenStill) continue
      await goal.whenStill()
      looked = true
    }
    return looked
  }

  async #moveClock(): Promise<void> {
    const scheduler = this.#scheduler
    let untilMs = Infinity
    for (const goal of this.#goals) untilMs = Math.min(untilMs, goal.untilMs ?? Infinity)
    const dueMs = scheduler.nextMs ?? Infinity
    if (dueMs <= untilMs && dueMs < Infinity) return scheduler.fire()
    if (untilMs === Infinity) {
      this.#goals.clear()
      throw new AtollError(
        'NOT_QUIET',
        'nothing is left that could happen in this world, and what is waited for has not: a handler waits for something outside of it',
      )
    }
    scheduler.monotonicMs = Math.max(scheduler.monotonicMs, untilMs)
  }

  /** Ends if any goal is met: who waits for it goes on, and whoever still waits runs the world again. */
  #endMet(): boolean {
    let met = this.#goals.size === 0
    for (const goal of this.#goals) {
      if (!goal.isMet()) continue
      this.#goals.delete(goal)
      met = true
    }
    return met
  }
}

/** Services look at their leases and at the log for ever, so a world never stands still by itself. */
const WORK_MS_MAX = 3_600_000
