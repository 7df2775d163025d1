import { EPOCH_MS } from './actor.ts'
import type { Driver } from './driver.ts'
import { toMs, type Duration } from './duration.ts'
import type { Scheduler } from './scheduler.ts'

/** The clock of a world. It stands still unless somebody waits for something, and then it jumps from timer to timer. */
export class Clock {
  readonly #scheduler: Scheduler
  readonly #driver: Driver

  constructor(scheduler: Scheduler, driver: Driver) {
    this.#scheduler = scheduler
    this.#driver = driver
  }

  /** Milliseconds since 1970; a world begins with the year 2026. */
  now(): number {
    return EPOCH_MS + Math.floor(this.#scheduler.monotonicMs)
  }

  /** Milliseconds since the world began. */
  get elapsedMs(): number {
    return this.#scheduler.monotonicMs
  }

  /** Lets so much time go by: what is due in it happens, in order, with all that comes of it at once. */
  async advance(by: Duration): Promise<void> {
    if (toMs(by) < 0) throw new RangeError(`time does not go back: advance by more than '${by}'`)
    const scheduler = this.#scheduler
    const untilMs = scheduler.monotonicMs + toMs(by)
    const isMet = (): boolean =>
      scheduler.monotonicMs >= untilMs && !scheduler.isReady && (scheduler.nextMs ?? Infinity) > untilMs
    await this.#driver.reach({ isMet, untilMs })
  }
}
