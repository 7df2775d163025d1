/** How much a Kafka log takes on before it says no, and how long it waits. */
export interface KafkaLogLimits {
  /** The largest `data` of one record, in bytes of UTF-8. Topics are created so that they take it; `examine` says which do not. */
  readonly dataBytesMax: number
  /** The most records in one append. */
  readonly appendRecordsMax: number
  /** The most records that may wait for their turn; more are refused with OVERLOADED. One append alone may exceed it. */
  readonly queuedRecordsMax: number
  /** The most records that one read answers, whatever limit it asks for. */
  readonly readRecordsMax: number
  /** A read answers no further records once it holds this many characters of `data`. */
  readonly readCharsMax: number
  /** How many bytes one fetch asks for. What it brings beyond the limit of a read is kept for the next one. */
  readonly fetchBytesMax: number
  /** How many bytes of fetched records stay in memory, roughly counted, for whoever reads on or reads the same. */
  readonly readAheadBytesMax: number
  /** How long a call may take before it is refused with UNAVAILABLE, and how long a broker may owe an answer. */
  readonly callMs: number
  /** How long a connection may take to be made. */
  readonly connectMs: number
  /** How long to wait between two attempts to reach the brokers again, at the most. */
  readonly reconnectMsMax: number
  /** How long a broker holds the question whether there is something new. Hints are hardly ever later than this. */
  readonly watchMs: number
  /** The right to write is renewed when it is this old, well before Kafka forgets whose it was (`transactional.id.expiration.ms`). */
  readonly claimMs: number
}

export const defaultLimits: KafkaLogLimits = {
  dataBytesMax: 512 * 1024,
  appendRecordsMax: 10_000,
  queuedRecordsMax: 50_000,
  readRecordsMax: 10_000,
  readCharsMax: 16 * 1024 * 1024,
  fetchBytesMax: 1024 * 1024,
  readAheadBytesMax: 16 * 1024 * 1024,
  callMs: 10_000,
  connectMs: 3_000,
  reconnectMsMax: 2_000,
  watchMs: 500,
  claimMs: 12 * 60 * 60 * 1000,
}

/** What a record may take besides its data: key, id, cause, trace and what frames them. */
export const besidesBytesMax = 64 * 1024

/** Records of one partition travel in batches of about this size. A batch is what `max.message.bytes` of a topic bounds. */
export function batchBytesMaxOf(limits: KafkaLogLimits): number {
  return Math.max(1024 * 1024, limits.dataBytesMax + besidesBytesMax)
}
