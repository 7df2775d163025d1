/** Limits that every log has. */
export interface CommonLimits {
  /** The largest `data` of one record, in bytes of UTF-8. */
  readonly dataBytesMax: number
  /** The most records in one append. */
  readonly appendRecordsMax: number
  /**
   * The most records that may be on their way into the log; more are refused with OVERLOADED. One append alone may
   * exceed it.
   */
  readonly queuedRecordsMax: number
  /**
   * The most bytes of `data`, a character counted as one, that may be on their way into the log; more are refused with
   * OVERLOADED. One append alone may exceed it.
   */
  readonly queuedBytesMax: number
  /** The most records that one read answers, whatever limit it asks for. */
  readonly readRecordsMax: number
  /**
   * A read answers no further records once it holds this many bytes of `data`, a character counted as one where the
   * engine does not count.
   */
  readonly readBytesMax: number
  /** How long close waits for appends under way, milliseconds. */
  readonly closeMs: number
}

/** Limits of every log that speaks to an engine. */
export interface EngineLimits extends CommonLimits {
  /** How long the engine may take to answer, milliseconds; then the call is rejected with UNAVAILABLE. */
  readonly callMs: number
  /** How long the engine may take until a connection is of use, milliseconds. */
  readonly connectMs: number
  /** The longest pause between two tries to reach the engine again, milliseconds. */
  readonly reconnectMsMax: number
}

export const commonLimits: CommonLimits = {
  dataBytesMax: 1024 * 1024,
  appendRecordsMax: 10_000,
  queuedRecordsMax: 50_000,
  queuedBytesMax: 64 * 1024 * 1024,
  readRecordsMax: 10_000,
  readBytesMax: 16 * 1024 * 1024,
  closeMs: 10_000,
}

export const engineLimits: EngineLimits = {
  ...commonLimits,
  dataBytesMax: 512 * 1024,
  callMs: 5_000,
  connectMs: 3_000,
  reconnectMsMax: 2_000,
}
