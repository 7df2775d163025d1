/**
 * Runs tasks one after the other per key and side by side across keys. A task that rejects is told to `onFailure`: here
 * that is a store that failed, never an event; the lane goes on, and the tasks behind it have to see for themselves
 * whether they still should.
 */
export class Lanes {
  readonly #busyMax: number
  readonly #onFailure: (error: unknown) => void
  /** The keys that have tasks. */
  readonly #lanes = new Map<string | null, Lane>()
  #waiting: (() => void)[] = []

  /**
   * `busyMax`: keys that may have tasks at a time. A task that waits in its lane takes no room: a key that hangs would
   * else take all of it.
   */
  constructor(busyMax: number, onFailure: (error: unknown) => void) {
    this.#busyMax = busyMax
    this.#onFailure = onFailure
  }

  get idle(): boolean {
    return this.#lanes.size === 0
  }

  /** Whether one more key may have tasks. */
  get hasRoom(): boolean {
    return this.#lanes.size < this.#busyMax
  }

  /** Runs `task` after those before it with the same key. Resolves when it has ended, well or not. */
  run(key: string | null, task: () => Promise<void>): Promise<void> {
    let lane = this.#lanes.get(key)
    if (!lane) this.#lanes.set(key, (lane = { tasks: 0, last: undefined }))
    lane.tasks++
    lane.last = this.#run(key, lane, lane.last, task)
    return lane.last
  }

  async #run(
    key: string | null,
    lane: Lane,
    before: Promise<void> | undefined,
    task: () => Promise<void>,
  ): Promise<void> {
    try {
      if (before) await before
      await task()
    } catch (error) {
      this.#onFailure(error)
    }
    if (--lane.tasks === 0) this.#lanes.delete(key)
    if (this.#waiting.length > 0) this.#wakeAll()
  }

  /** Resolves when there is room for one more key. */
  async room(): Promise<void> {
    while (!this.hasRoom) await this.oneDone()
  }

  /** Resolves when a task ends; at once if there is none. */
  oneDone(): Promise<void> {
    return this.idle ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve))
  }

  async drained(): Promise<void> {
    while (!this.idle) await this.oneDone()
  }

  #wakeAll(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

interface Lane {
  /** The one that runs, and those that wait. */
  tasks: number
  last: Promise<void> | undefined
}
