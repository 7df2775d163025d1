/** How much a NATS log takes on before it says no, and how long it waits. */
export interface NatsLogLimits {
  /** The largest `data` of one record, in bytes of UTF-8. With its other fields it must fit into the server's `max_payload` (1 MiB by default). */
  readonly dataBytesMax: number
  /** The most records in one append. */
  readonly appendRecordsMax: number
  /** The most records of one source that may wait for an append under way; more are refused with OVERLOADED. */
  readonly queuedRecordsMax: number
  /** The most records in one message of the stream. */
  readonly messageRecordsMax: number
  /** A message takes no further records once it has this many bytes. One record alone may exceed it. */
  readonly messageBytesMax: number
  /** The most messages that are committed as one; the server takes 1,000 at the most. An append of more is written in parts. */
  readonly batchMessagesMax: number
  /** The most bytes that are committed as one. One message alone may exceed it. */
  readonly batchBytesMax: number
  /** How often an append begins anew because another writer came first, before it is refused with UNAVAILABLE. */
  readonly conflictsMax: number
  /** The most records that one read answers, whatever limit it asks for. */
  readonly readRecordsMax: number
  /** How many bytes a read asks the server for at a time. */
  readonly readBytesMax: number
  /** How many bytes of records stay in memory, roughly counted, so that several readers of a partition ask the server once. 0 turns it off. */
  readonly recentBytesMax: number
  /** How long the server may take for an answer, milliseconds; then the call is rejected with UNAVAILABLE. */
  readonly callMs: number
  /** How long one try to connect to one server may take, milliseconds. */
  readonly connectMs: number
  /** How long the log waits for a first connection before it is handed out without one, milliseconds. */
  readonly startMs: number
  /** How often the server is pinged, and how long it may take to answer, milliseconds. A connection that does not answer is remade. */
  readonly pingMs: number
  /** The delay before the second try to connect, milliseconds; it doubles with each. */
  readonly retryDelayMs: number
  /** The longest delay between tries to connect, milliseconds. */
  readonly retryDelayMsMax: number
}

export const defaultLimits: NatsLogLimits = {
  dataBytesMax: 512 * 1024,
  appendRecordsMax: 10_000,
  queuedRecordsMax: 50_000,
  messageRecordsMax: 256,
  messageBytesMax: 256 * 1024,
  batchMessagesMax: 512,
  batchBytesMax: 8 * 1024 * 1024,
  conflictsMax: 100,
  readRecordsMax: 10_000,
  readBytesMax: 1024 * 1024,
  recentBytesMax: 16 * 1024 * 1024,
  callMs: 5_000,
  connectMs: 2_000,
  startMs: 2_000,
  pingMs: 2_000,
  retryDelayMs: 100,
  retryDelayMsMax: 2_000,
}
