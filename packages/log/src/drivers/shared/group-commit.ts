import { AtollError, type Host } from '@atoll/host'
import type { LogRecord } from '../../driver.ts'

/** One call of append, on its way. */
export interface Append {
  readonly source: string
  readonly records: readonly LogRecord[]
  resolve(): void
  reject(error: AtollError): void
}

/** Settles every one of these appends. Resolves with the error if the engine could not be reached; never rejects. */
export type Commit = (appends: readonly Append[]) => Promise<AtollError | undefined>

/** Gathers into one commit what is appended in the same turn, or while a commit is under way; one commit at a time. */
export class GroupCommit {
  readonly #host: Host
  readonly #commit: Commit
  readonly #commitRecordsMax: number
  #waiting: Append[] = []
  #isCommitting = false

  /** A commit carries `commitRecordsMax` records at the most; one append alone may exceed it. */
  constructor(host: Host, commit: Commit, commitRecordsMax: number = Infinity) {
    this.#host = host
    this.#commit = commit
    this.#commitRecordsMax = commitRecordsMax
  }

  append(source: string, records: readonly LogRecord[]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0 && !this.#isCommitting) this.#host.turn(() => void this.#run())
      this.#waiting.push({ source, records, resolve, reject })
    })
  }

  /** Refuses what waits for the next commit; the one under way goes on. */
  abandon(): void {
    const failure = new AtollError('UNAVAILABLE', 'the log was closed before this append had its turn; append it again')
    for (const append of this.#waiting.splice(0)) append.reject(failure)
  }

  async #run(): Promise<void> {
    if (this.#isCommitting) return
    this.#isCommitting = true
    while (this.#waiting.length > 0) {
      const failure = await this.#commit(this.#take())
      // What waited meanwhile has waited long enough: whether the engine is there again is for the next append to find
      // out.
      if (failure) for (const append of this.#waiting.splice(0)) append.reject(failure)
    }
    this.#isCommitting = false
  }

  #take(): Append[] {
    let count = 0
    let records = 0
    while (
      count < this.#waiting.length &&
      (count === 0 || records + this.#waiting[count]!.records.length <= this.#commitRecordsMax)
    )
      records += this.#waiting[count++]!.records.length
    return this.#waiting.splice(0, count)
  }
}
