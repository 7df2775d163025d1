/** What a runtime may be told. Every limit has a name, a unit and a default. */
export interface RuntimeOptions {
  /**
   * Slices of each source's log; the most instances of a service that can share its work. Fixed for the life of a data
   * folder. Default 16.
   */
  readonly partitions: number
  /** The services that run in this process, by name. Default: all of the system. */
  readonly services: readonly string[] | 'all'
  /**
   * Names this process among the instances of a system. One that comes back under its name takes its leases back at
   * once. Default `main`.
   */
  readonly instance: string
  /**
   * What readiness says beside its verdict, for as long as the system runs: settings that break a promise and were
   * accepted. What comes after the first `: ` is for operators, and not said to the public. Default none.
   */
  readonly warnings: readonly string[]
  /** How long a lease holds without renewal, milliseconds. Default 10,000. */
  readonly leaseMs: number
  /** Tries of an event before it becomes a dead letter. Default 8. */
  readonly attemptsMax: number
  /**
   * Delay before the second try, milliseconds; it doubles with each try, with up to a quarter of jitter. Default 100.
   */
  readonly retryDelayMs: number
  /** The longest delay between tries, milliseconds. Default 60,000. */
  readonly retryDelayMsMax: number
  /** Records read from the log at a time, per source and partition. Default 256. */
  readonly readBatchMax: number
  /** Keys of one partition whose events may be in hand at a time. Default 64. */
  readonly handlingsInFlightMax: number
  /**
   * Keys of one partition whose held events may be tried again at a time, beside those in hand. Default 8. A projection
   * tries one key at a time: each try there is a transaction like that of a whole batch.
   */
  readonly retriesInFlightMax: number
  /** Time that one try of an event handler has, milliseconds. Default 30,000. */
  readonly handlingMs: number
  /** How far reading may run ahead of the slowest handling of a partition, in records. Default 1,024. */
  readonly readAheadMax: number
  /**
   * Commands of one service under way at a time, and as many queries; more are refused with OVERLOADED. Default 1,000.
   */
  readonly operationsInFlightMax: number
  /** Events handed from an outbox to the log at a time. Default 512. */
  readonly relayBatchMax: number
  /**
   * How long relayed events may stay in the outbox, milliseconds; tidying up is one more commit, better shared. Default
   * 50.
   */
  readonly relayTidyMs: number
  /** How long a causal operation waits for its service to catch up, milliseconds; then BEHIND. Default 5,000. */
  readonly causalWaitMs: number
  /**
   * Operations of one service that wait so at a time; one more, and the one that has waited longest is refused with
   * BEHIND. Default 250.
   */
  readonly causalWaitsMax: number
  /**
   * How often, for all that wait so, stores and services elsewhere are asked how far they have got, milliseconds.
   * Default 10.
   */
  readonly positionLookMs: number
  /** Time an operation has when nobody says otherwise, milliseconds. Default 10,000. */
  readonly deadlineMs: number
  /** How long the answer to an Idempotency-Key is kept, milliseconds. Default 24 hours. */
  readonly answersKeptMs: number
  /**
   * How long discarded dead letters are kept to be looked at, milliseconds; from then on they only count. Default 90
   * days.
   */
  readonly discardedKeptMs: number
  /**
   * How many marks a service puts into a partition to use up numbers, because a subscription in its process has handled
   * events under them that the service, restored from a backup, knows no more. A mark takes a number and a place in the
   * service's commit order, so where other partitions have had the places between, there are more marks than numbers.
   * With more to put, the subscription is halted. Default 10,000.
   */
  readonly lostNumbersMax: number
  /**
   * Whether a service whose store is older than the log (STORE_OUTDATED) still takes commands: what it answers to them
   * is lost when the newest copy of that store is restored. Its queries are answered in any case. Default `refuse`.
   */
  readonly commandsWhenOutdated: 'take' | 'refuse'
  /**
   * How often it is held against their sources elsewhere whether subscriptions have handled more than was ever emitted,
   * milliseconds. Default 30,000.
   */
  readonly auditMs: number
  /** How often readers look at the log without being told to, milliseconds. Hints can be lost. Default 1,000. */
  readonly lookMs: number
}

export const defaultOptions: RuntimeOptions = {
  partitions: 16,
  services: 'all',
  instance: 'main',
  warnings: [],
  leaseMs: 10_000,
  attemptsMax: 8,
  retryDelayMs: 100,
  retryDelayMsMax: 60_000,
  readBatchMax: 256,
  handlingsInFlightMax: 64,
  retriesInFlightMax: 8,
  handlingMs: 30_000,
  readAheadMax: 1_024,
  operationsInFlightMax: 1_000,
  relayBatchMax: 512,
  relayTidyMs: 50,
  causalWaitMs: 5_000,
  causalWaitsMax: 250,
  positionLookMs: 10,
  deadlineMs: 10_000,
  answersKeptMs: 24 * 60 * 60 * 1000,
  discardedKeptMs: 90 * 24 * 60 * 60 * 1000,
  lostNumbersMax: 10_000,
  commandsWhenOutdated: 'refuse',
  auditMs: 30_000,
  lookMs: 1_000,
}
