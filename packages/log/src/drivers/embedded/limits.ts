/** How much an embedded log takes on before it says no. */
export interface EmbeddedLogLimits {
  /** The largest `data` of one record, in bytes of UTF-8. */
  readonly dataBytesMax: number
  /** The most records in one append. */
  readonly appendRecordsMax: number
  /** The most records that may wait for the next commit; more are refused with OVERLOADED. */
  readonly queuedRecordsMax: number
  /** The most characters of `data` that may wait for the next commit; more are refused with OVERLOADED. One append alone may exceed it. */
  readonly queuedCharsMax: number
  /** The most records that one read answers, whatever limit it asks for. */
  readonly readRecordsMax: number
  /** A read answers no further records once it holds this many characters of `data`. */
  readonly readCharsMax: number
  /** How many bytes of the newest records stay in memory, roughly counted, so that readers who keep up need no file. 0 turns it off. */
  readonly recentBytesMax: number
}

export const defaultLimits: EmbeddedLogLimits = {
  dataBytesMax: 1024 * 1024,
  appendRecordsMax: 10_000,
  queuedRecordsMax: 50_000,
  queuedCharsMax: 64 * 1024 * 1024,
  readRecordsMax: 10_000,
  readCharsMax: 16 * 1024 * 1024,
  recentBytesMax: 8 * 1024 * 1024,
}
