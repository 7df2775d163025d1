import { AtollError } from '@atoll/host'
import { isOrderBefore, type Log, type StoredRecord } from '@atoll/log/driver'
import type { Row, Statement } from '@atoll/store/driver'
import type { LedgerRow } from '../admin.ts'
import { causesOfExcess } from '../service/audit.ts'
import { findDivergence, isOfOneHistory, isOlderThanLog } from '../relay/history.ts'
import { readOn } from '../relay/read-on.ts'
import { furthestOf, parseAhead } from '../subscription/cursor-book.ts'
import type { ServiceRuntime } from '../service/service-runtime.ts'
import type { Subscription } from '../subscription/subscription.ts'

// Each side is read in one statement, so that what it says belongs to one moment.
const selectSubscriber: Statement = {
  sql: `SELECT 'cursor' AS kind, source, partition, type, number, "order", "offset", id, previous_offset AS "previousOffset", until, ahead, 0 AS count
          FROM atoll_cursors WHERE subscription = ?
        UNION ALL SELECT 'handled', '', 0, type, 0, '', NULL, NULL, NULL, 0, '', sum(count) FROM atoll_handled WHERE subscription = ? GROUP BY type
        UNION ALL SELECT state, min(source), 0, type, 0, '', NULL, NULL, NULL, 0, '', count(*) FROM atoll_held WHERE subscription = ? GROUP BY state, type
        UNION ALL SELECT 'discarded', min(source), 0, type, 0, '', NULL, NULL, NULL, 0, '', count(*) FROM atoll_discarded WHERE subscription = ? GROUP BY type
        UNION ALL SELECT 'discarded', source, 0, type, 0, '', NULL, NULL, NULL, 0, '', count FROM atoll_discarded_counts WHERE subscription = ?`,
}
const selectSource: Statement = {
  sql: `SELECT 'published' AS kind, type, count, '' AS seq, 0 AS partition FROM atoll_published
        UNION ALL SELECT 'outbox', type, 1, CAST(seq AS TEXT), partition FROM atoll_outbox
        UNION ALL SELECT 'last', '', 0, CAST(max(seq) AS TEXT), 0 FROM (SELECT max(seq) AS seq FROM atoll_streams UNION ALL SELECT max(seq) FROM atoll_outbox) AS places`,
}

interface SubscriberRow extends Row {
  kind: string
  source: string
  partition: number
  type: string
  number: number
  order: string
  offset: string | null
  id: string | null
  previousOffset: string | null
  until: number
  ahead: string
  count: number
}

interface SourceRow extends Row {
  kind: string
  type: string
  count: number
  seq: string | null
  partition: number
}

/**
 * Accounts for every event and subscription: what its source published, against what the subscriber handled and holds
 * and what still lies before it. The three sides are counted apart (the source's store, the subscriber's store, the
 * log), so that a loss shows.
 *
 * It is exact under load: the subscriber is read first, the source after it, and of the log only what the source had
 * published then.
 */
export async function readLedger(services: ReadonlyMap<string, ServiceRuntime>, log: Log): Promise<LedgerRow[]> {
  const rows: LedgerRow[] = []
  for (const service of services.values()) {
    for (const subscription of service.subscriptions.values())
      rows.push(...(await accountOf(subscription, services, log, service.options.partitions)))
  }
  return rows
}

/**
 * What is still held of events that nothing here handles any more. What was published of them is not counted: it is not
 * for them to handle.
 */
function accountWithoutHandler(
  subscription: string,
  subscriber: readonly SubscriberRow[],
  known: ReadonlySet<string>,
): LedgerRow[] {
  const held = subscriber.filter((row) => ['retrying', 'parked', 'dead'].includes(row.kind) && !known.has(row.type))
  return [...new Set(held.map((row) => row.type))].map((event) => {
    const count = (kind: string): number => sum(subscriber, (row) => row.kind === kind && row.type === event)
    const counts = {
      handled: count('handled'),
      pending: count('retrying'),
      parked: count('parked'),
      dead: count('dead'),
      discarded: count('discarded'),
    }
    const { source } = held.find((row) => row.type === event)! // there is one of each
    const published = Object.values(counts).reduce((total, some) => total + some, 0)
    return { event, source, subscription, published, ...counts, hasNoHandler: true, balanced: true, why: undefined }
  })
}

async function accountOf(
  subscription: Subscription,
  services: ReadonlyMap<string, ServiceRuntime>,
  log: Log,
  partitions: number,
): Promise<LedgerRow[]> {
  const { ground } = subscription
  const subscriber = await ground.store.reader.all<SubscriberRow>(
    selectSubscriber,
    Array.from({ length: 5 }, () => ground.name),
  )
  const rows: LedgerRow[] = []
  for (const source of new Set(ground.events.map((event) => event.source))) {
    const types = ground.events.filter((event) => event.source === source).map((event) => event.type)
    const emitter = services.get(source)
    if (!emitter)
      throw new AtollError(
        'UNAVAILABLE',
        `the ledger of ${ground.name} needs what ${source} published, and ${source} runs elsewhere; open the whole system to ask for it`,
      )
    const emitted = await emitter.store.reader.all<SourceRow>(selectSource)
    const pending = await pendingOf({ subscription: ground.name, source, types, log, partitions }, subscriber, emitted)
    for (const event of types) {
      const published = sum(emitted, (row) => row.type === event) // in the log and tidied away, or in the outbox
      const held = (kind: string): number => sum(subscriber, (row) => row.kind === kind && row.type === event)
      const row = {
        event,
        source,
        subscription: ground.name,
        published,
        handled: held('handled'),
        pending: (pending.counts.get(event) ?? 0) + held('retrying'),
        parked: held('parked'),
        dead: held('dead'),
        discarded: held('discarded'),
        hasNoHandler: false,
      }
      const why = (pending.gap ?? (await reasonOf(row, emitter, log)))?.message
      rows.push({ ...row, balanced: why === undefined, why })
    }
  }
  return [...rows, ...accountWithoutHandler(ground.name, subscriber, new Set(ground.events.map((event) => event.type)))]
}

/**
 * Whether the store of a source is older than the log. Its relay knows, and as long as the log does not answer nobody
 * does; where a system is only looked at, no relay has asked.
 */
async function isOutdated({ state, relay, store, name, options }: ServiceRuntime, log: Log): Promise<boolean> {
  return state === 'stopped' ? isOlderThanLog(store, log, name, options) : relay.isOutdated
}

/** Why an account does not balance; undefined if it does. */
async function reasonOf(
  row: Omit<LedgerRow, 'balanced' | 'why'>,
  emitter: ServiceRuntime,
  log: Log,
): Promise<AtollError | undefined> {
  const reason = unbalanced(row)
  return reason && (await isOutdated(emitter, log)) ? followsFromOutdated(row) : reason
}

/**
 * An outdated source does not say what it has emitted: nothing that is done to its subscriber makes the account
 * balance.
 */
function followsFromOutdated({ source, subscription }: Pick<LedgerRow, 'source' | 'subscription'>): AtollError {
  return new AtollError(
    'LEDGER_UNBALANCED',
    `this follows from STORE_OUTDATED of ${source}, whose store is older than the log: mend that first, and leave the store of ${subscription} as it is`,
  )
}

/** LEDGER_UNBALANCED: which side of an account is short, and what that may come from; undefined if neither is. */
function unbalanced({
  source,
  subscription,
  published,
  handled,
  pending,
  parked,
  dead,
  discarded,
}: Omit<LedgerRow, 'balanced' | 'why'>): AtollError | undefined {
  const missing = published - (handled + pending + parked + dead + discarded)
  if (missing === 0) return undefined
  const what =
    missing > 0
      ? `${missing} that ${source} published are missing: neither handled nor held by ${subscription}, nor in the log before it. If the log or a store was restored, restore all of the same moment; if nothing was, this is a defect`
      : `${subscription} has ${-missing} more than ${source} ever published: ${causesOfExcess(subscription)}`
  return new AtollError('LEDGER_UNBALANCED', what)
}

/** What lies before the cursors of a subscription. */
interface Pending {
  /** Events by type: in the log, and in the outbox on their way to it. */
  readonly counts: ReadonlyMap<string, number>
  /**
   * The log does not have what the cursors stand at: what lies before them is not what the subscription has yet to
   * handle.
   */
  readonly gap: AtollError | undefined
}

/** Of which events it is counted how many are pending, and where they lie. */
interface Counted {
  readonly subscription: string
  readonly source: string
  readonly types: readonly string[]
  readonly log: Log
  readonly partitions: number
}

async function pendingOf(
  { subscription, source, types, log, partitions }: Counted,
  subscriber: readonly SubscriberRow[],
  emitted: readonly SourceRow[],
): Promise<Pending> {
  let gap: AtollError | undefined
  const last = emitted.find((row) => row.kind === 'last')?.seq ?? '0'
  // Per type, the order tokens of what is pending: an event may be in the outbox and in the log, and counts once.
  const pending = new Map<string, Set<string>>(types.map((type) => [type, new Set()]))
  for (let partition = 0; partition < partitions; partition++) {
    const cursors = subscriber.filter(
      (row) => row.kind === 'cursor' && row.source === source && row.partition === partition,
    )
    const place = new Cursors(cursors.filter((row) => row.type === '' || (row.until > 0 && types.includes(row.type))))
    gap ??= await gapAt(log, subscription, source, partition, place)
    for (const row of emitted) {
      if (row.kind === 'outbox' && row.partition === partition && place.isBefore(row.seq!))
        pending.get(row.type)?.add(row.seq!)
    }
    let after = place.offset
    for (;;) {
      const records = await readOn(log, subscription, source, partition, after, READ_MAX).catch(nothingOfGap)
      if (records.length === 0) break
      after = records[records.length - 1]!.offset
      for (const record of records) {
        const { type, number, order } = record
        gap ??= place.divergence(subscription, record)
        if (!place.isPending(type, number)) pending.get(type)?.delete(order)
        else if (!isOrderBefore(last, order)) pending.get(type)?.add(order)
      }
    }
  }
  return { counts: new Map([...pending].map(([type, orders]) => [type, orders.size])), gap }
}

/**
 * Says that a log does not have the record that a subscription stands at. Undefined also while that cannot be read yet.
 */
async function gapAt(
  log: Log,
  subscription: string,
  source: string,
  partition: number,
  { main }: Cursors,
): Promise<AtollError | undefined> {
  if (!main) return undefined
  try {
    await isOfOneHistory(log, { ...main, subscription, source, partition, furthest: furthestOf(main) })
    return undefined
  } catch (error) {
    if (error instanceof AtollError && (error.code === 'LOG_GAP' || error.code === 'LOG_DIVERGED')) return error
    throw error
  }
}

/** What the log has lost is pending nowhere, so the account does not balance: that is what it is for. */
function nothingOfGap(error: unknown): StoredRecord[] {
  if (error instanceof AtollError && error.code === 'LOG_GAP') return []
  throw error
}

/** Those of a subscription in one partition of a source: its own, and its backfills. */
class Cursors {
  readonly main: SubscriberRow | undefined
  readonly #backfills: readonly SubscriberRow[]
  /** What the cursor has handled ahead of itself: numbers, and the ids of their records. */
  readonly #ahead: ReadonlyMap<number, string | null>
  /** Nothing before this is pending. */
  readonly offset: string | null

  constructor(cursors: readonly SubscriberRow[]) {
    this.main = cursors.find((row) => row.type === '')
    this.#ahead = new Map(this.main ? parseAhead(this.main) : [])
    this.#backfills = cursors.filter((row) => row.type !== '')
    const first = cursors.reduce<SubscriberRow | undefined>(
      (least, row) => (least && least.number <= row.number ? least : row),
      undefined,
    )
    this.offset = first?.offset ?? null
  }

  /** Whether an order token lies before the cursor, as far as that alone can tell. */
  isBefore(order: string): boolean {
    return !this.main || isOrderBefore(this.main.order, order)
  }

  /** Says that the log has another record than the one that was handled ahead of the cursor. */
  divergence(subscription: string, record: StoredRecord): AtollError | undefined {
    const id = this.#ahead.get(record.number)
    return id ? findDivergence({ ...record, subscription, id }, record) : undefined
  }

  isPending(type: string, number: number): boolean {
    const backfills = this.#backfills.filter((row) => row.type === type && number <= row.until)
    // Of two, the one that ends first is the one that has it.
    const backfill = backfills.sort((a, b) => a.until - b.until)[0]
    const cursor = backfill ?? this.main
    return !cursor || (number > cursor.number && !parseAhead(cursor).some(([ahead]) => ahead === number))
  }
}

function sum<R extends { count: number }>(rows: readonly R[], which: (row: R) => boolean): number {
  let total = 0
  for (const row of rows) if (which(row)) total += row.count
  return total
}

const READ_MAX = 1_000
