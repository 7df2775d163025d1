/**
 * Runs one work at a time, in the order in which they come. All services of a process share one, so an event that is
 * tried in it when the process ends was alone in hand.
 */
export class Alone {
  #last: Promise<unknown> = Promise.resolve()

  /** Runs `work` when those before it have ended, well or not. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#last.then(work, work)
    this.#last = run.catch(() => undefined)
    return run
  }
}
