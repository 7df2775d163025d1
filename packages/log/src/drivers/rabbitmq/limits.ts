import { engineLimits, type EngineLimits } from '../shared/limits.ts'

/** How much a log on RabbitMQ takes on before it says no, and how long it waits. */
export interface RabbitmqLogLimits extends EngineLimits {
  /** The most records in one message. What waits for the confirmation of the message before it shares the next. */
  readonly messageRecordsMax: number
  /** A message takes no further records once it has this many bytes, a character counted as one. */
  readonly messageBytesMax: number
  /** The most calls that RabbitMQ has not answered yet; more are refused with OVERLOADED. */
  readonly queuedCallsMax: number
  /** How many messages RabbitMQ sends ahead of a reader. */
  readonly readAheadMessages: number
  /**
   * How many bytes of what has been read already stay in memory, roughly counted, for each place where a stream is
   * read, for readers who come next.
   */
  readonly recentBytesMax: number
  /**
   * At how many places, over all streams, the log follows what comes next; the one that nobody has read at for longest
   * gives way.
   */
  readonly followersMax: number
  /** How long a place is followed without being read, milliseconds. */
  readonly followerIdleMs: number
  /** How many messages from its end back the tail of a stream is looked for, past what an old relay appended late. */
  readonly tailMessages: number
  /**
   * How long a stream that was not there is taken not to be there, milliseconds, unless the log hears of a record in
   * it.
   */
  readonly missingMs: number
  /**
   * For how long nothing must have come of a stream that is there, until it is taken to be empty, milliseconds.
   * RabbitMQ counts every five seconds.
   */
  readonly emptyMs: number
}

export const defaultLimits: RabbitmqLogLimits = {
  ...engineLimits,
  messageRecordsMax: 1_000,
  messageBytesMax: 256 * 1024,
  queuedCallsMax: 10_000,
  readAheadMessages: 64,
  recentBytesMax: 1024 * 1024,
  followersMax: 512,
  followerIdleMs: 60_000,
  tailMessages: 64,
  missingMs: 30_000,
  emptyMs: 6_000,
  connectMs: 5_000,
}
