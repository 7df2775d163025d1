import type { AtollError } from '@atoll/host'
import type { Queries, Transaction } from './driver.ts'

/** One physical commit, and what it carries. */
export class Group {
  /** Works that have ended well and wait for the commit. */
  readonly written: Write[] = []
  readonly hooks = new Map<object, Hook>()
  /** When it must make room for the next, by the monotonic clock. */
  readonly untilMs: number
  /** How many works it has run, well or not. */
  count = 0
  /** What was asked without waiting for the answer; none of it rejects. */
  readonly sent: Promise<void>[] = []
  /** Why nothing of it can be committed, if that is so. */
  failure: AtollError | undefined

  constructor(untilMs: number) {
    this.untilMs = untilMs
  }
}

/** A transaction that somebody asked for. */
export interface Write {
  readonly work: (tx: Transaction) => Promise<unknown>
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
  /** What the work returned, until the commit lets it out. */
  result: unknown
}

export type Hook = (queries: Queries) => Promise<void>
