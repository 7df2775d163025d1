/** How much a PostgreSQL log takes on before it says no. */
export interface PostgresLogLimits {
  /** The largest `data` of one record, in bytes of UTF-8. */
  readonly dataBytesMax: number
  /** The most records in one append. */
  readonly appendRecordsMax: number
  /** The most records that may wait for the next commit; more are refused with OVERLOADED. */
  readonly queuedRecordsMax: number
  /** The most characters of `data` that may wait for the next commit; more are refused with OVERLOADED. One append alone may exceed it. */
  readonly queuedCharsMax: number
  /** The most records that one commit carries. One append alone may exceed it. */
  readonly commitRecordsMax: number
  /** The most characters of `data` that travel in one statement; a commit of more takes several. One record alone may exceed it. */
  readonly statementCharsMax: number
  /** The most records that one read answers, whatever limit it asks for. */
  readonly readRecordsMax: number
  /** A read answers no further records once it holds this many bytes of `data`. */
  readonly readBytesMax: number
  /** The most connections at a time; one more, while somebody watches. */
  readonly connectionsMax: number
  /** The longest that one statement may take; UNAVAILABLE after that. */
  readonly callMs: number
  /** The longest that opening a connection may take, and waiting for a free one. */
  readonly connectMs: number
}

export const defaultLimits: PostgresLogLimits = {
  dataBytesMax: 1024 * 1024,
  appendRecordsMax: 10_000,
  queuedRecordsMax: 50_000,
  queuedCharsMax: 64 * 1024 * 1024,
  commitRecordsMax: 10_000,
  statementCharsMax: 8 * 1024 * 1024,
  readRecordsMax: 10_000,
  readBytesMax: 16 * 1024 * 1024,
  connectionsMax: 4,
  callMs: 10_000,
  connectMs: 5_000,
}
