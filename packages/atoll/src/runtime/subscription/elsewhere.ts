import type { Host } from '@atoll/host'
import { isOrderBefore } from '@atoll/log/driver'
import type { Reader, Statement } from '@atoll/store/driver'
import type { RuntimeOptions } from '../options.ts'
import { SharedQuestion } from '../shared-question.ts'

/**
 * Held events of a service that are looked at. Older ones are not waited for: they have failed for a while, and each
 * look reads them all.
 */
const HELD_ROWS_MAX = 1_000

/**
 * Where the cursors of a subscription stand, and which of the events that were held last will be tried again by
 * themselves; in one statement, so that no event is in neither.
 */
const selectReached: Statement = {
  sql: `SELECT source, partition, "order", 0 AS held FROM atoll_cursors WHERE subscription = ? AND type = ''
        UNION ALL SELECT source, partition, "order", 1 AS held FROM (SELECT * FROM atoll_held ORDER BY seq DESC LIMIT ${HELD_ROWS_MAX}) AS held WHERE subscription = ?
          AND NOT EXISTS (SELECT 1 FROM atoll_held AS dead WHERE dead.subscription = held.subscription AND dead.partition = held.partition AND dead.key = held.key AND dead.state = 'dead')`,
}

/**
 * What a subscription has handled in partitions that are not read here, as the store says; asked once for all who wait,
 * while anybody does. An order that was reached stays reached, so an old yes is as good as a new one.
 */
export class Elsewhere {
  readonly #subscription: string
  readonly #reader: Reader
  readonly #question: SharedQuestion
  /** By source and partition. */
  #cursors: ReadonlyMap<string, string> = new Map()
  #awaited: ReadonlySet<string> = new Set()

  constructor(subscription: string, reader: Reader, host: Host, options: RuntimeOptions) {
    this.#subscription = subscription
    this.#reader = reader
    this.#question = new SharedQuestion(
      host,
      { everyMs: options.positionLookMs, afterFailureMs: options.retryDelayMs },
      () => this.#look(),
    )
  }

  /** Whether everything up to an order token was handled, or dead, when the store was last asked. */
  hasReached(source: string, partition: number, order: string): boolean {
    const cursor = this.#cursors.get(placeOf(source, partition))
    return (
      cursor !== undefined && !isOrderBefore(cursor, order) && !this.#awaited.has(placeOf(source, partition, order))
    )
  }

  /** Calls `resolve` when the store has been asked again; returns what takes that back. */
  whenAsked(resolve: () => void): () => void {
    let isWanted = true
    void this.#question.ask().then(() => isWanted && resolve())
    return () => void (isWanted = false)
  }

  async #look(): Promise<void> {
    const rows = await this.#reader.all<{ source: string; partition: number; order: string; held: number }>(
      selectReached,
      [this.#subscription, this.#subscription],
    )
    this.#cursors = new Map(
      rows.filter(({ held }) => held === 0).map(({ source, partition, order }) => [placeOf(source, partition), order]),
    )
    this.#awaited = new Set(
      rows.filter(({ held }) => held === 1).map(({ source, partition, order }) => placeOf(source, partition, order)),
    )
  }
}

function placeOf(source: string, partition: number, order = ''): string {
  return `${source}.${partition}.${order}`
}
