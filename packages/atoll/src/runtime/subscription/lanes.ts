/**
 * Runs tasks one after the other per key and side by side across keys. A task that rejects is told to `onFailure`: here that is a store
 * that failed, never an event; the lane goes on, and the tasks behind it have to see for themselves whether they still should.
 */
export class Lanes {
  readonly #tasksMax: number
  readonly #onFailure: (error: unknown) => void
  /** The last task of each key. */
  readonly #tails = new Map<string | null, Promise<void>>()
  #tasks = 0
  #waiting: (() => void)[] = []

  constructor(tasksMax: number, onFailure: (error: unknown) => void) {
    this.#tasksMax = tasksMax
    this.#onFailure = onFailure
  }

  get idle(): boolean {
    return this.#tasks === 0
  }

  /** Runs `task` after those before it with the same key. Resolves when it has ended, well or not. */
  run(key: string | null, task: () => Promise<void>): Promise<void> {
    this.#tasks++
    const run: Promise<void> = this.#run(this.#tails.get(key), task)
    this.#tails.set(key, run)
    // A lane whose last task this was need not be kept; whether it is the last is known when it ends.
    void run.then(() => {
      if (this.#tails.get(key) === run) this.#tails.delete(key)
    })
    return run
  }

  async #run(before: Promise<void> | undefined, task: () => Promise<void>): Promise<void> {
    try {
      if (before) await before
      await task()
    } catch (error) {
      this.#onFailure(error)
    }
    this.#tasks--
    if (this.#waiting.length > 0) this.#wakeAll()
  }

  /** Resolves when there is room for one more task. */
  async room(): Promise<void> {
    while (this.#tasks >= this.#tasksMax) await this.oneDone()
  }

  /** Resolves when a task ends; at once if there is none. */
  oneDone(): Promise<void> {
    return this.#tasks === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve))
  }

  async drained(): Promise<void> {
    while (this.#tasks > 0) await this.oneDone()
  }

  #wakeAll(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
