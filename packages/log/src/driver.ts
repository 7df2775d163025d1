// For the runtime and for authors of drivers: the port that every log fulfils, held to by `@atoll/log/conformance`.

import type { Examination } from '@atoll/host'

/**
 * The event log of a system: for each source (a service that emits) and partition, an ordered, durable sequence of
 * records. It appends and it reads; it knows nothing of subscribers. Cursors, leases, retries and dedupe live above it.
 *
 * Every method may be called concurrently. Nothing here retries: a failed call failed, and the caller decides. While an
 * engine cannot be reached, calls reject with UNAVAILABLE, promptly, and the driver goes on trying to reach it. After
 * {@link Log.close} every method rejects with LOG_CLOSED.
 */
export interface Log {
  readonly capabilities: LogCapabilities

  /**
   * Appends records of one source, each to its partition, in the order given. Resolves when all of them are durable;
   * until then none may be counted on, and after a rejection any prefix per partition may have been written: append
   * them again.
   *
   * Numbers make that safe. Per source and partition they must continue the sequence without a gap; a record whose
   * number is already there is ignored if its id is the same, and refused with LOG_DIVERGED if it is not. A number that
   * would leave a hole is refused with LOG_GAP. Of a call that is refused nothing is written. (A log that cannot look
   * before it writes declares `checksAppends: false`; its readers then see duplicates, which they drop by number.)
   *
   * The log keeps no reference to the array or its records after the call settles.
   */
  append(source: string, records: readonly LogRecord[]): Promise<void>

  /**
   * Records of one source and partition that come after `after` (null: from the beginning), in order, `limit` at the
   * most. An empty answer means that there are none yet. Only durable records are returned. Rejects with LOG_GAP if the
   * log no longer has what comes after `after`: its records have been deleted or have expired, or the log ends before
   * that offset; and with INVALID if `after` is nothing that such a log gives.
   */
  read(source: string, partition: number, after: Offset | null, limit: number): Promise<StoredRecord[]>

  /** The last durable record's number, offset and id, or null for a partition without records. */
  tail(source: string, partition: number): Promise<Tail | null>

  /**
   * Calls `listener` soon after records of `source` became durable. A hint: it may come early, late, twice or, after a
   * fault, not at all; readers look for themselves now and then. Returns what ends it.
   */
  watch(source: string, listener: (partition: number) => void): () => void

  /**
   * Reads the engine's real settings, and says what they mean for the promises. Changes nothing. UNAVAILABLE if it
   * cannot be reached.
   */
  examine(): Promise<Examination>

  /** Waits for appends under way, then frees everything. Idempotent. */
  close(): Promise<void>
}

/** What an event looks like in the log. */
export interface LogRecord {
  /** 0 … partitions − 1. Events with the same key share a partition. */
  readonly partition: number
  /** Gap-free from 1, per source and partition. */
  readonly number: number
  /**
   * The event's place in its source's commit order: a token that only grows within a source and partition. Compare by
   * length, then by characters. Known when the event's transaction commits, before the number is; so positions are made
   * of it.
   */
  readonly order: string
  /** Unique for ever, fixed in the transaction that emitted the event. */
  readonly id: string
  /** The event's name, such as `order.placed`. */
  readonly type: string
  readonly version: number
  readonly key: string
  /** When it was emitted, milliseconds since 1970, by the emitter's clock. For people; nothing is ordered by it. */
  readonly at: number
  /** The data as JSON. */
  readonly data: string
  /** W3C `traceparent` of the span that emitted it. */
  readonly trace: string
  /** The id of the event or request that led to this one. */
  readonly cause: string
}

/** A record as read back, with the place it has in this log. */
export interface StoredRecord extends LogRecord {
  readonly source: string
  readonly offset: Offset
}

/** A place in one source and partition, in the log's own terms. Only handed back to the log that gave it. */
export type Offset = string

export interface Tail {
  readonly number: number
  readonly offset: Offset
  /** The record's id: two logs that end at one number are of one history if they end with one event. */
  readonly id: string
}

/** What a log can do. The conformance suite chooses its tests by these. */
export interface LogCapabilities {
  /** It refuses gaps and divergence, and ignores repeated numbers, before it writes. */
  readonly checksAppends: boolean
  /** Records survive close and open. (An in-memory log for tests does not.) */
  readonly persistent: boolean
  /**
   * With an engine that is set so, an append survives the loss of power once it resolved. Whether this engine is,
   * {@link Log.examine} says.
   */
  readonly canBeDurable: boolean
  /**
   * The largest `data` of one record, in bytes of UTF-8; larger ones are refused with BODY_TOO_LARGE before anything is
   * written.
   */
  readonly dataBytesMax: number
}

/** Whether order token `a` comes before `b`: shorter is smaller, then by characters. */
export function isOrderBefore(a: string, b: string): boolean {
  return a.length === b.length ? a < b : a.length < b.length
}
