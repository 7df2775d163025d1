import type { StoredRecord } from '@atoll/log/driver'

/** What operators do with a running system. The command line and the console stand on it. */
export interface Admin {
  /** Promise 7, per event and subscription: published = handled + pending + parked + dead + discarded. */
  ledger(): Promise<LedgerRow[]>
  /**
   * Events of the log, from the beginning, in order per partition; then, with `follow`, as they come until the signal
   * aborts.
   */
  events(options: EventsOptions): AsyncIterable<StoredRecord>
  deadLetters(filter?: DeadLetterFilter): Promise<DeadLetter[]>
  /**
   * The same, a page at a time: all that there are when it begins, and of those that are gone when it comes to them,
   * that they are.
   */
  walkDeadLetters(filter?: DeadLetterFilter): AsyncIterable<DeadLetter | GoneLetter>
  /**
   * Handles dead letters again, and then what is parked behind them, in order. With `dryRun` every handler runs and
   * every transaction is undone; calls to other services are refused in a dry run. COMMAND_USAGE for an id that is not
   * dead; of several, those that are gone meanwhile are told, and the rest goes on.
   */
  redrive(options: RedriveOptions): AsyncIterable<RedriveOutcome | GoneLetter>
  /**
   * Ends dead letters without handling them, for good: later events of their keys go on, in order. The one of that id,
   * or all of a subscription; never all that there are. COMMAND_USAGE for an id that is not dead; of several, those
   * that are gone meanwhile are told, and the rest goes on.
   */
  discard(options: DiscardOptions): AsyncIterable<DiscardedLetter | GoneLetter>
  /** What was discarded, oldest first: who did it, when and why. For as long as it is kept (`discardedKeptMs`). */
  discarded(filter?: DeadLetterFilter): Promise<DiscardedLetter[]>
  /** The same, a page at a time. */
  walkDiscarded(filter?: DeadLetterFilter): AsyncIterable<DiscardedLetter>
  /**
   * Rebuilds a projection beside the live one and swaps it in when it has caught up. UNSUPPORTED for subscriptions with
   * effects.
   */
  replay(subscription: string): AsyncIterable<ReplayProgress>
}

export interface EventsOptions {
  readonly type?: string | undefined
  readonly key?: string | undefined
  readonly source?: string | undefined
  readonly follow?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** One line of the ledger. `balanced` is published === handled + pending + parked + dead + discarded. */
export interface LedgerRow {
  readonly event: string
  readonly source: string
  readonly subscription: string
  readonly published: number
  readonly handled: number
  /** Not yet tried, or waiting for another try. */
  readonly pending: number
  readonly parked: number
  readonly dead: number
  readonly discarded: number
  /**
   * Nothing here handles the event any more, and some are still held. Of these alone the line tells: `published` is
   * what it accounts for.
   */
  readonly hasNoHandler: boolean
  readonly balanced: boolean
  /** What an account that does not balance lacks, or why it cannot be drawn up, for operators. */
  readonly why: string | undefined
}

/** Which letters: those of one subscription, or the one of an id. */
export interface DeadLetterFilter {
  readonly subscription?: string | undefined
  readonly id?: string | undefined
}

export interface DeadLetter {
  /** Names the dead letter in this system: hand it to redrive or discard. */
  readonly id: string
  readonly subscription: string
  readonly event: {
    readonly id: string
    readonly type: string
    readonly version: number
    readonly key: string
    readonly source: string
    readonly partition: number
    readonly number: number
    readonly at: number
    readonly data: string
    readonly trace: string
  }
  readonly attempts: number
  readonly error: { readonly code: string; readonly message: string; readonly stack: string }
  /** When its tries were used up, milliseconds since 1970. */
  readonly diedAt: number
  /** How many later events of its key wait behind it. */
  readonly parkedBehind: number
  /** Nothing here handles it any more: a release that does can redrive it. */
  readonly hasNoHandler: boolean
}

/** A letter that was there when it was asked for, and was handled or discarded by others before its turn came. */
export interface GoneLetter {
  readonly outcome: 'gone'
  readonly id: string
  readonly subscription: string
  readonly why: string
}

export interface DiscardOptions {
  /** Only this dead letter. */
  readonly id?: string | undefined
  /** All dead letters of this subscription, as they are now. */
  readonly subscription?: string | undefined
  /** Why nobody needs its effect. Kept, for whoever asks later. */
  readonly reason: string
  /** Who says so. */
  readonly by: string
}

/** A dead letter that somebody ended. */
export interface DiscardedLetter extends Omit<DeadLetter, 'parkedBehind' | 'hasNoHandler'> {
  readonly discardedAt: number
  readonly by: string
  readonly reason: string
}

export interface RedriveOptions {
  readonly subscription?: string | undefined
  /** Only this dead letter, and what waits behind it. */
  readonly id?: string | undefined
  readonly dryRun?: boolean | undefined
}

/** What became of one event of a redrive. `waiting`: an event before it in its key failed again. */
export interface RedriveOutcome {
  readonly subscription: string
  readonly eventId: string
  readonly type: string
  readonly key: string
  readonly was: 'dead' | 'parked'
  readonly outcome: 'handled' | 'failed' | 'waiting'
  readonly error?: string | undefined
}

export interface ReplayProgress {
  readonly subscription: string
  readonly handled: number
  /** Events in the log that the projection will have seen when it has caught up, as known now. */
  readonly total: number
  /** Of those handled, the ones that are held: being tried again, parked or dead. Known when it is done. */
  readonly held: number
  readonly done: boolean
}
