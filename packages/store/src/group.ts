import { AtollError } from '@atoll/host'
import type { Queries, Transaction } from './driver.ts'

/** One physical commit, and what it carries. */
export class Group {
  /** Works that have ended well and wait for the commit. */
  readonly written: Write[] = []
  /** Works that failed, with what. */
  readonly #refused: { readonly write: Write; readonly failure: unknown }[] = []
  readonly hooks = new Map<object, Hook>()
  /** When it must make room for the next, by the monotonic clock. */
  readonly untilMs: number
  /** How many works it has run, well or not. */
  count = 0
  /** One of them was urgent. */
  isUrgent = false
  /** What was asked without waiting for the answer; none of it rejects. */
  readonly sent: Promise<void>[] = []
  /** Why nothing of it can be committed, if that is so. */
  failure: AtollError | undefined
  /** Why its store refused to commit what its one work wrote, if it did. */
  refusal: AtollError | undefined
  /**
   * Its store refused to commit what several works wrote, and nobody knows whose doing that was: they are to come
   * again.
   */
  isDisputed = false

  constructor(untilMs: number) {
    this.untilMs = untilMs
  }

  /**
   * A work has failed, and is undone. If others have ended well, it is not told before their commit: what it says may
   * rest on what they wrote.
   */
  refuse(write: Write, failure: unknown): void {
    if (this.written.length === 0 && !this.failure) write.reject(failure)
    else this.#refused.push({ write, failure })
  }

  /** Its store is in order, and does not commit what was written: a constraint that is checked only then is broken. */
  refuseToCommit(refusal: AtollError): void {
    if (this.written.length === 1) this.refusal = refusal
    else this.isDisputed = true
  }

  /** The commit has lasted. */
  answer(): void {
    for (const write of this.written) write.resolve(write.result)
    for (const { write, failure } of this.#refused) write.reject(failure)
  }

  /**
   * The commit has failed, or may have. All who were part of it hear the same; but for the one work that it was refused
   * for; and for one that took too long or waited, which rests on nothing that others wrote: it may be why the commit
   * failed, when its statement could not be ended but with the connection.
   */
  reject(failure: AtollError): void {
    for (const write of this.written) write.reject(this.refusal ?? failure)
    for (const { write, failure: own } of this.#refused)
      write.reject(own instanceof AtollError && own.code === 'TX_WAITED' ? own : failure)
  }
}

/** A transaction that somebody asked for. */
export interface Write {
  readonly work: (tx: Transaction) => Promise<unknown>
  /** Others wait for it: it goes before those that are not. */
  readonly urgent: boolean
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
  /** What the work returned, until the commit lets it out. */
  result: unknown
}

export type Hook = (queries: Queries) => Promise<void>
