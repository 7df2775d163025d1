/** Lets one work at a time through, in the order in which they come. One for all services of a process: what ends that process was then alone in hand. */
export class Alone {
  #last: Promise<unknown> = Promise.resolve()

  /** Runs `work` when those before it have ended, well or not. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#last.then(work, work)
    this.#last = run.catch(() => undefined)
    return run
  }
}
