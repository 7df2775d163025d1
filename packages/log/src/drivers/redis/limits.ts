/** How much a log on Redis takes on before it says no, and how long it waits. */
export interface RedisLogLimits {
  /** The largest `data` of one record, in bytes of UTF-8. */
  readonly dataBytesMax: number
  /** The most records in one append. */
  readonly appendRecordsMax: number
  /** The most records that one run of a script writes; Redis serves nobody else meanwhile. A larger append takes several. */
  readonly scriptRecordsMax: number
  /** The most bytes of `data` that one run of a script writes. A larger append takes several. */
  readonly scriptBytesMax: number
  /** The most records whose append Redis has not answered yet; more are refused with OVERLOADED. One append alone may exceed it. */
  readonly queuedRecordsMax: number
  /** The most bytes of `data` whose append Redis has not answered yet; more are refused with OVERLOADED. One append alone may exceed it. */
  readonly queuedBytesMax: number
  /** The most calls that Redis has not answered yet; more are refused with OVERLOADED. */
  readonly queuedCallsMax: number
  /** The most records that one read answers, whatever limit it asks for. */
  readonly readRecordsMax: number
  /** A read asks for no more records than hold this many bytes of `data`, if they are like the first ones it got. */
  readonly readBytesMax: number
  /** How long Redis may take to accept a connection, milliseconds. */
  readonly connectMs: number
  /** How long Redis may take to answer, milliseconds; then the call is rejected with UNAVAILABLE, and a silent connection is replaced. */
  readonly callMs: number
  /** The longest pause between two tries to connect, milliseconds. */
  readonly reconnectMsMax: number
  /** How long close waits for appends under way, milliseconds. */
  readonly closeMs: number
}

export const defaultLimits: RedisLogLimits = {
  dataBytesMax: 512 * 1024,
  appendRecordsMax: 10_000,
  scriptRecordsMax: 1_000,
  scriptBytesMax: 4 * 1024 * 1024,
  queuedRecordsMax: 50_000,
  queuedBytesMax: 64 * 1024 * 1024,
  queuedCallsMax: 10_000,
  readRecordsMax: 10_000,
  readBytesMax: 16 * 1024 * 1024,
  connectMs: 3_000,
  callMs: 5_000,
  reconnectMsMax: 2_000,
  closeMs: 10_000,
}
