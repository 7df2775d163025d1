import { AtollError } from '@atoll/host'
import type { Log, Offset, StoredRecord } from '@atoll/log/driver'
import type { Queries, Statement, Store } from '@atoll/store/driver'
import type { RuntimeOptions } from '../options.ts'
import { readOn } from './read-on.ts'

// Stores and logs can come back from different moments: from a backup, or by mistake from another system. Numbers alone
// do not show that once the log has grown past them. Ids do: each names one event for ever, so whoever finds another
// one under a number is in another history.

/** The record that a subscription has passed last in one source and partition, as its store says. */
export interface LastRecord {
  readonly subscription: string
  readonly source: string
  readonly partition: number
  /** Of the last record that it has passed; 0 for none. */
  readonly number: number
  readonly offset: Offset | null
  /** That record's; null for none, and where no code that notes it has moved the cursor yet. */
  readonly id: string | null
  /** Of the record before it. */
  readonly previousOffset: Offset | null
  /** The last number that it has handled, ahead of that record or there. */
  readonly furthest: number
}

/**
 * Looks whether the log has the very record that a store has passed last, by reading from one record before that, and
 * whether it reaches as far as was handled ahead of it. Resolves with false if it has one of that number that cannot be
 * read yet. Rejects with LOG_DIVERGED if it has another one, and with LOG_GAP if it ends before.
 */
export async function isOfOneHistory(log: Log, last: LastRecord): Promise<boolean> {
  const { source, partition, number, furthest } = last
  if (!(await hasRecord(log, last))) return false
  if (furthest > number) assertReaches(last, (await log.tail(source, partition))?.number ?? 0)
  return true
}

async function hasRecord(log: Log, last: LastRecord): Promise<boolean> {
  const { subscription, source, partition, number, offset, id, previousOffset } = last
  if (id === null) return true
  const next = async (after: Offset | null): Promise<StoredRecord | undefined> =>
    (await readOn(log, subscription, source, partition, after, 1))[0]
  let record: StoredRecord | undefined
  try {
    record = await next(previousOffset)
    // a log that does not check appends may have some twice
    while (record && record.number < number) record = await next(record.offset)
  } catch (error) {
    if (AtollError.from(error).code !== 'LOG_GAP') throw error
    await next(offset) // that record may have expired, and what comes after it be there
    return true
  }
  if (record) {
    assertSame({ ...last, id }, record)
    return true
  }
  assertReaches({ ...last, furthest: number }, (await log.tail(source, partition))?.number ?? 0)
  return false
}

function assertReaches({ subscription, source, partition, furthest }: LastRecord, end: number): void {
  if (end >= furthest) return
  throw new AtollError(
    'LOG_GAP',
    `the log ends at number ${end} in partition ${partition} of ${source}, and ${subscription} has read up to ${furthest}: the events between are missing, since the log is older than its store (was it restored, or copied?). Restore the newest copy of the log, or store and log from the same moment`,
  )
}

/** What was handled under a number, by whom. */
type Handled = Pick<LastRecord, 'subscription' | 'source' | 'partition' | 'number'> & { readonly id: string }

/**
 * LOG_DIVERGED if the log has another event than the one that was handled under a number. One that is lost may have
 * been any.
 */
export function findDivergence(
  { subscription, source, partition, number, id }: Handled,
  found: StoredRecord,
): AtollError | undefined {
  if (found.id === id || found.type === LOST) return undefined
  return new AtollError(
    'LOG_DIVERGED',
    `${subscription} has handled event ${id} as number ${number} in partition ${partition} of ${source}, and the log has event ${found.id} there: store and log are from different histories. ` +
      'Nothing is read, and nothing skipped. Restore store and log from the same moment; a projection can be built anew with `atoll replay`',
    { details: { source, partition, number } },
  )
}

/** Throws what {@link findDivergence} finds. */
export function assertSame(handled: Handled, found: StoredRecord): void {
  const divergence = findDivergence(handled, found)
  if (divergence) throw divergence
}

const selectStreams: Statement = { sql: 'SELECT partition, number, id FROM atoll_streams' }
const selectWaiting: Statement = {
  sql: 'SELECT id FROM atoll_outbox WHERE partition = ? ORDER BY seq LIMIT 1 OFFSET ?',
}

/**
 * Rejects with LOG_GAP if the log has less of a service than it was given; and with STORE_OUTDATED if it has events
 * that the service's store does not know to have emitted: the store is older than the log, or new. What it emitted from
 * here on would get numbers that others have, and what its handlers emit would be there already.
 */
export async function assertStoreKnowsLog(
  store: Store,
  log: Log,
  service: string,
  options: HistoryOptions,
): Promise<void> {
  const before = await store.reader.all<StreamRow>(selectStreams)
  // The log first: what is in it by now, another instance may tidy away from the outbox and note as the end of a
  // stream, in one commit.
  const tails = await tailsOf(log, service, options)
  for (const { partition, number } of before) assertHas(service, partition, number, tails[partition]?.number ?? 0)
  if (tails.every((tail) => tail === null)) return
  await store.write((tx) => assertKnows(tx, tails, service, options))
}

/**
 * Whether the log has events of a service that its store does not know to have emitted, as STORE_OUTDATED says; also
 * false while it cannot be told. It only reads, so where an instance relays at the same moment it may be wrong once.
 */
export async function isOlderThanLog(
  store: Store,
  log: Log,
  service: string,
  options: HistoryOptions,
): Promise<boolean> {
  try {
    await assertKnows(store.reader, await tailsOf(log, service, options), service, options)
    return false
  } catch (error) {
    return error instanceof AtollError && error.code === 'STORE_OUTDATED'
  }
}

type HistoryOptions = Pick<RuntimeOptions, 'partitions' | 'commandsWhenOutdated'>
type Tails = readonly Awaited<ReturnType<Log['tail']>>[]

interface StreamRow {
  readonly partition: number
  readonly number: number
  readonly id: string | null
}

function tailsOf(log: Log, service: string, { partitions }: HistoryOptions): Promise<Tails> {
  return Promise.all(Array.from({ length: partitions }, (_, partition) => log.tail(service, partition)))
}

async function assertKnows(
  queries: Queries,
  tails: Tails,
  service: string,
  { commandsWhenOutdated }: HistoryOptions,
): Promise<void> {
  const streams = new Map((await queries.all<StreamRow>(selectStreams)).map((stream) => [stream.partition, stream]))
  for (const [partition, tail] of tails.entries()) {
    const given = streams.get(partition) ?? { number: 0, id: null }
    if (!tail || tail.number < given.number) continue
    const known =
      tail.number === given.number
        ? (given.id ?? tail.id)
        : (await queries.get<{ id: string }>(selectWaiting, [partition, tail.number - given.number - 1]))?.id
    if (known === tail.id) continue
    throw new AtollError(
      'STORE_OUTDATED',
      `the log has event ${tail.id} of ${service} as number ${tail.number} in partition ${partition}, and the store of ${service}, which has given numbers up to ${given.number} there, does not know it: the store is older than the log, or another one. ` +
        `Nothing of it is handed on, and it handles nothing; its commands are ${commandsWhenOutdated === 'refuse' ? 'refused' : 'carried out, and what they do is lost with this store'} (runtime.commandsWhenOutdated). ` +
        'Restore the newest copy of the store, or store and log from the same moment',
      { details: { service, partition, number: tail.number } },
    )
  }
}

/** Throws LOG_GAP if the log ends before the last number that it was given. */
export function assertHas(service: string, partition: number, number: number, end: number): void {
  if (end >= number) return
  throw new AtollError(
    'LOG_GAP',
    `the log ends at number ${end} in partition ${partition} of ${service}, and ${number} were given to it: events are lost, or this is another log. Restore it, or give the system the log that its stores belong to`,
  )
}

/** What becomes of a command of a service whose store is older than the log. */
export function refusalOfOutdated(command: string, service: string): AtollError {
  return new AtollError(
    'STORE_OUTDATED',
    `${command} was refused: the store of ${service} is older than the log, and what is done there is lost when the newest copy is restored. ` +
      'Restore that, or store and log from the same moment; or take commands all the same (runtime.commandsWhenOutdated)',
  )
}

/** What becomes of a command of a service that was restored, as long as the log does not say how far. */
export function refusalOfUnagreed(command: string, service: string): AtollError {
  return new AtollError(
    'UNAVAILABLE',
    `${command} was refused: subscriptions have handled more events of ${service} than its store knows, so it was restored and they were not, and what it emits now would be skipped. ` +
      'It goes on by itself once the log answers, and its numbers are settled',
  )
}

/**
 * The type of a record that only takes up a number: subscribers have handled an event under it that its source knows no
 * more. No event can be called so.
 */
export const LOST = '@lost'
