import type { Timer } from '@atoll/host'
import type { SubscriptionGround } from './ground.ts'
import type { HeldEvents } from './held.ts'
import { Lanes } from './lanes.ts'

/**
 * Tries held events again when they are due, the longest due first. Only few keys are tried at a time, and beside the
 * events that come, not among them: keys that fail, or hang for as long as a handler may, take no room from those that
 * do not.
 */
export class Retries {
  readonly #ground: SubscriptionGround
  readonly #held: HeldEvents
  readonly #lanes: Lanes
  readonly #drive: (key: string) => Promise<void>
  #timer: { readonly dueMs: number; readonly timer: Timer } | undefined
  #stopped = false

  /** `drive` works through what is held of a key; if it rejects, the store has failed. */
  constructor(
    ground: SubscriptionGround,
    held: HeldEvents,
    drive: (key: string) => Promise<void>,
    onFailure: (error: unknown) => void,
  ) {
    this.#ground = ground
    this.#held = held
    this.#drive = drive
    // Each try in a projection is a transaction like that of a whole batch, so those take turns.
    this.#lanes = new Lanes(ground.batched ? 1 : ground.options.retriesInFlightMax, onFailure)
  }

  /** Whether nothing is being tried. All that is due is being tried, as far as there is room. */
  get idle(): boolean {
    return this.#lanes.idle
  }

  /** Has what is due tried, and looks again when the next is. To be called when something was held. */
  look(): void {
    while (!this.#stopped && this.#lanes.hasRoom) {
      const key = this.#held.takeDue(this.#ground.host.monotonicMs())
      if (key === undefined) return this.#wait()
      void this.run(key, () => this.#drive(key))
    }
  }

  #wait(): void {
    const { nextDueMs } = this.#held
    if (nextDueMs === this.#timer?.dueMs) return
    this.#timer?.timer.cancel()
    const { host } = this.#ground
    const wake = (): void => {
      this.#timer = undefined
      this.look()
    }
    this.#timer =
      nextDueMs === undefined
        ? undefined
        : { dueMs: nextDueMs, timer: host.after(nextDueMs - host.monotonicMs(), wake) }
  }

  /** Works on the held events of a key, after those who do so already. */
  async run(key: string, work: () => Promise<void>): Promise<void> {
    this.#held.occupy(key)
    await this.#lanes.run(key, work)
    this.#held.vacate(key)
    this.look()
  }

  /** Begins no more tries. */
  stop(): void {
    this.#stopped = true
    this.#timer?.timer.cancel()
  }

  /** Resolves when those under way have ended. */
  drained(): Promise<void> {
    return this.#lanes.drained()
  }
}
