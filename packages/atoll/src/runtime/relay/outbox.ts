import { AtollError, type ErrorCode } from '@atoll/host'
import type { Log, LogRecord } from '@atoll/log/driver'
import type { InsertStatement, Queries, Reader, Statement, Value } from '@atoll/store/driver'
import { assertHas } from './history.ts'

// What has become of a service's events, as its outbox and the log say.

export const insertEvent: InsertStatement = {
  sql: 'INSERT INTO atoll_outbox (partition, id, type, version, key, at, data, trace, cause) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  key: 'seq',
}

/** A row of the outbox: a record of the log that has no number yet. */
export interface OutboxEvent extends Omit<LogRecord, 'number' | 'order'> {
  readonly seq: number
}

export function toOutboxEvent(seq: number, row: readonly Value[]): OutboxEvent {
  const [partition, id, type, version, key, at, data, trace, cause] = row as [
    number,
    string,
    string,
    number,
    string,
    number,
    string,
    string,
    string,
  ] // as emit made it
  return { seq, partition, id, type, version, key, at, data, trace, cause }
}

/** What a relay tells its service. */
export interface RelayEvents {
  /**
   * The log was seen to be the one of its store. Nothing is handed on before this has resolved; if it rejects, the
   * relay looks again.
   */
  fits(): Promise<void>
  /** It is halted, until somebody mends its store or the log. */
  halted(): void
}

const selectLastSeq: Statement = { sql: 'SELECT max(seq) AS seq FROM atoll_outbox' }
const selectWaiting: Statement = { sql: 'SELECT EXISTS (SELECT 1 FROM atoll_outbox WHERE seq <= ?) AS waiting' }

/** The last place in the commit order that the outbox holds; 0 if it holds nothing. */
export async function lastInOutbox(reader: Reader): Promise<number> {
  return (await reader.get<{ seq: number | null }>(selectLastSeq))?.seq ?? 0
}

/** Whether the outbox still holds anything up to a place. */
export async function isInOutbox(reader: Reader, seq: number): Promise<boolean> {
  return (await reader.get<{ waiting: number }>(selectWaiting, [seq]))?.waiting === 1
}

/** Rejects with LOG_GAP if the log does not have all that was given to it, by partition the last number. */
export async function assertLogHas(log: Log, service: string, numbers: ReadonlyMap<number, number>): Promise<void> {
  for (const [partition, number] of numbers) {
    const tail = await log.tail(service, partition)
    assertHas(service, partition, number, tail?.number ?? 0)
  }
}

/** What the log would say again, however often it is asked. */
export const final: ReadonlySet<ErrorCode> = new Set([
  'LOG_GAP',
  'LOG_DIVERGED',
  'STORE_OUTDATED',
  'BODY_TOO_LARGE',
  'INVALID',
  'UNSUPPORTED',
])

/** Names the lease of a relay among those of the service's subscriptions, none of which can be called so. */
export const RELAY_LEASE = '@relay'

const selectOutbox: Statement = {
  sql: `SELECT seq, partition, id, type, version, key, at, data, trace, cause FROM atoll_outbox
        WHERE seq > ? AND EXISTS (SELECT 1 FROM atoll_leases WHERE subscription = ? AND partition = 0 AND epoch = ?) ORDER BY seq LIMIT ?`,
}

/**
 * What follows a place in the commit order; nothing once another instance relays. That is asked in one statement,
 * because the other one tidies rows away, and those behind them would get the wrong numbers.
 */
export function readOutbox(reader: Reader, after: number, epoch: number, rowsMax: number): Promise<OutboxEvent[]> {
  return reader.all<OutboxEvent>(selectOutbox, [after, RELAY_LEASE, epoch, rowsMax])
}

const selectEpoch: Statement = { sql: 'SELECT epoch FROM atoll_leases WHERE subscription = ? AND partition = 0' }

/** The epoch of whoever relays now. */
export async function relayEpoch(queries: Queries): Promise<number | undefined> {
  return (await queries.get<{ epoch: number }>(selectEpoch, [RELAY_LEASE]))?.epoch
}

/** Rejects with FENCED if another instance relays by now. */
export async function assertRelays(queries: Queries, service: string, epoch: number): Promise<void> {
  if ((await relayEpoch(queries)) === epoch) return
  throw new AtollError(
    'FENCED',
    `another instance relays for ${service} now; this one was away for longer than its lease (leaseMs)`,
  )
}
