/** How much a log on RabbitMQ takes on before it says no, and how long it waits. */
export interface RabbitmqLogLimits {
  /** The largest `data` of one record, in bytes of UTF-8. */
  readonly dataBytesMax: number
  /** The most records in one append. */
  readonly appendRecordsMax: number
  /** The most records in one message. What waits for the confirmation of the message before it shares the next. */
  readonly messageRecordsMax: number
  /** A message takes no further records once it has this many characters. */
  readonly messageCharsMax: number
  /** The most records that RabbitMQ has not confirmed yet; more are refused with OVERLOADED. One append alone may exceed it. */
  readonly queuedRecordsMax: number
  /** The most bytes of `data` that RabbitMQ has not confirmed yet; more are refused with OVERLOADED. One append alone may exceed it. */
  readonly queuedBytesMax: number
  /** The most calls that RabbitMQ has not answered yet; more are refused with OVERLOADED. */
  readonly queuedCallsMax: number
  /** The most records that one read answers, whatever limit it asks for. */
  readonly readRecordsMax: number
  /** A read answers no further records once it holds this many characters of `data`. */
  readonly readCharsMax: number
  /** How many messages RabbitMQ sends ahead of a reader. */
  readonly readAheadMessages: number
  /** How many characters of what has been read already stay in memory, for each place where a stream is read, for readers who come next. */
  readonly recentCharsMax: number
  /** At how many places, over all streams, the log follows what comes next; the one that nobody has read at for longest gives way. */
  readonly followersMax: number
  /** How long a place is followed without being read, milliseconds. */
  readonly followerIdleMs: number
  /** How many messages from its end back the tail of a stream is looked for, past what an old relay appended late. */
  readonly tailMessages: number
  /** How long a stream that was not there is taken not to be there, milliseconds, unless the log hears of a record in it. */
  readonly missingMs: number
  /** For how long nothing must have come of a stream that is there, until it is taken to be empty, milliseconds. RabbitMQ counts every five seconds. */
  readonly emptyMs: number
  /** How long RabbitMQ may take until a connection is of use, milliseconds. */
  readonly connectMs: number
  /** How long RabbitMQ may take to answer, milliseconds; then the call is rejected with UNAVAILABLE, and a silent connection is replaced. */
  readonly callMs: number
  /** The longest pause between two tries to connect, milliseconds. */
  readonly reconnectMsMax: number
  /** How long close waits for appends under way, milliseconds. */
  readonly closeMs: number
}

export const defaultLimits: RabbitmqLogLimits = {
  dataBytesMax: 512 * 1024,
  appendRecordsMax: 10_000,
  messageRecordsMax: 1_000,
  messageCharsMax: 256 * 1024,
  queuedRecordsMax: 50_000,
  queuedBytesMax: 64 * 1024 * 1024,
  queuedCallsMax: 10_000,
  readRecordsMax: 10_000,
  readCharsMax: 16 * 1024 * 1024,
  readAheadMessages: 64,
  recentCharsMax: 1024 * 1024,
  followersMax: 512,
  followerIdleMs: 60_000,
  tailMessages: 64,
  missingMs: 30_000,
  emptyMs: 6_000,
  connectMs: 5_000,
  callMs: 5_000,
  reconnectMsMax: 2_000,
  closeMs: 10_000,
}
