import type { Host } from '@atoll/host'
import { isOrderBefore } from '@atoll/log/driver'
import type { Queries, Statement } from '@atoll/store/driver'
import type { RuntimeOptions } from '../options.ts'
import { latestOf } from '../position.ts'
import { SharedQuestion } from '../shared-question.ts'

/**
 * How far a source has got: by partition, the order of the last event that is known here. It may have got further, in
 * another instance or another process, so whoever knows of more asks. A place that it has not reached even then is of
 * another history, or made up.
 */
export class Standing {
  readonly #orders: (string | undefined)[] = []
  readonly #question: SharedQuestion

  /** `read` asks the source itself: its store, or a process that runs it. */
  constructor(host: Host, options: RuntimeOptions, read: () => Promise<Readonly<Record<number, string>>>) {
    const pace = { everyMs: options.positionLookMs, afterFailureMs: options.retryDelayMs }
    this.#question = new SharedQuestion(host, pace, async () => {
      for (const [partition, orders] of Object.entries(await read())) this.note(Number(partition), orders)
    })
  }

  /** Whether the source has got as far as this, as far as is known. */
  covers(partition: number, order: string): boolean {
    const last = this.#orders[partition]
    return last !== undefined && !isOrderBefore(last, order)
  }

  /** The source has emitted these. */
  note(partition: number, orders: string): void {
    const latest = latestOf(orders)
    if (!this.covers(partition, latest)) this.#orders[partition] = latest
  }

  /**
   * Resolves with true once the source has said how far it had got at some time after this call; with false if it could
   * not be asked.
   */
  ask(): Promise<boolean> {
    return this.#question.ask()
  }
}

const OUTBOX_ROWS_MAX = 1_000
const selectStanding: Statement = {
  sql: `SELECT partition, max(seq) AS seq, min(seq) AS since, count(*) AS "count" FROM (SELECT partition, seq FROM atoll_outbox ORDER BY seq DESC LIMIT ${OUTBOX_ROWS_MAX}) AS waiting GROUP BY partition
        UNION ALL SELECT partition, seq, seq AS since, 0 AS "count" FROM atoll_streams`,
}

interface StandingRow {
  readonly partition: number
  readonly seq: number
  readonly since: number
  readonly count: number
}

/**
 * The last event of each partition, as a service's store knows it. Of a long backlog, as its end alone says: while
 * there is one, nobody catches up anyway.
 */
export async function readStanding(queries: Queries): Promise<Readonly<Record<number, string>>> {
  return lastOrders(await queries.all<StandingRow>(selectStanding))
}

/**
 * The same, and nothing that is there is left out: of a long backlog, each partition may have had all that is before
 * its end.
 */
export async function readStandingAtMost(
  queries: Queries,
  partitions: number,
): Promise<Readonly<Record<number, string>>> {
  const rows = await queries.all<StandingRow>(selectStanding)
  const waiting = rows.filter(({ count }) => count > 0)
  const isCut = waiting.reduce((sum, { count }) => sum + count, 0) >= OUTBOX_ROWS_MAX
  const before = isCut ? Math.min(...waiting.map(({ since }) => since)) : 0
  const everywhere = isCut ? Array.from({ length: partitions }, (_, partition) => ({ partition, seq: before })) : []
  return lastOrders([...rows, ...everywhere])
}

function lastOrders(rows: readonly Pick<StandingRow, 'partition' | 'seq'>[]): Readonly<Record<number, string>> {
  const last = new Map<number, number>()
  for (const { partition, seq } of rows) last.set(partition, Math.max(last.get(partition) ?? 0, seq))
  return Object.fromEntries([...last].map(([partition, seq]) => [partition, String(seq)]))
}
