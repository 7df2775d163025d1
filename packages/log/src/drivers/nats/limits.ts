import { engineLimits, type EngineLimits } from '../shared/limits.ts'

/**
 * How much a NATS log takes on before it says no, and how long it waits. With its other fields a record must fit into
 * the server's `max_payload` (1 MiB by default).
 */
export interface NatsLogLimits extends EngineLimits {
  /** The most records in one message of the stream. */
  readonly messageRecordsMax: number
  /** A message takes no further records once it has this many bytes. One record alone may exceed it. */
  readonly messageBytesMax: number
  /**
   * The most messages that are committed as one; the server takes 1,000 at the most. An append of more is written in
   * parts.
   */
  readonly batchMessagesMax: number
  /** The most bytes that are committed as one. One message alone may exceed it. */
  readonly batchBytesMax: number
  /** How often an append begins anew because another writer came first, before it is refused with UNAVAILABLE. */
  readonly conflictsMax: number
  /**
   * How many bytes of records stay in memory, roughly counted, so that several readers of a partition ask the server
   * once. 0 turns it off.
   */
  readonly recentBytesMax: number
  /** How long the log waits for a first connection before it is handed out without one, milliseconds. */
  readonly startMs: number
  /**
   * How often the server is pinged, and how long it may take to answer, milliseconds. A connection that does not answer
   * is remade.
   */
  readonly pingMs: number
}

export const defaultLimits: NatsLogLimits = {
  ...engineLimits,
  messageRecordsMax: 256,
  messageBytesMax: 256 * 1024,
  batchMessagesMax: 512,
  batchBytesMax: 8 * 1024 * 1024,
  conflictsMax: 100,
  readBytesMax: 1024 * 1024,
  recentBytesMax: 16 * 1024 * 1024,
  connectMs: 2_000,
  startMs: 2_000,
  pingMs: 2_000,
}
