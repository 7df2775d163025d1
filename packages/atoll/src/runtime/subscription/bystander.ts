import { AtollError } from '@atoll/host'
import type { Statement } from '@atoll/store/driver'
import { isOfOneHistory, type LastRecord } from '../relay/history.ts'
import { furthestOf } from './cursor-book.ts'
import type { SubscriptionGround } from './ground.ts'

const selectMain: Statement = {
  sql: `SELECT source, partition, number, "offset", id, previous_offset AS "previousOffset", ahead FROM atoll_cursors WHERE subscription = ? AND type = ''`,
}

interface MainRow extends Omit<LastRecord, 'subscription' | 'furthest'> {
  readonly ahead: string
}

/**
 * Looks whether the log is the one that was read so far in partitions that this instance does not read. They may be
 * nobody's: an instance that is gone has their leases until those run out, and a log that does not fit is to be named
 * from the start on.
 */
export class Bystander {
  /** What it has found, until that is over. */
  gap: AtollError | undefined
  readonly #ground: SubscriptionGround
  #looking: Promise<void> | undefined

  constructor(ground: SubscriptionGround) {
    this.#ground = ground
  }

  /**
   * `isRead`: whether this instance reads a partition, and looks for itself. An engine that does not answer says
   * nothing.
   */
  look(isRead: (partition: number) => boolean): Promise<void> {
    return (this.#looking ??= this.#lookNow(isRead)
      .catch(() => undefined)
      .finally(() => (this.#looking = undefined)))
  }

  async #lookNow(isRead: (partition: number) => boolean): Promise<void> {
    const { name, store, log, events } = this.#ground
    const rows = await store.reader.all<MainRow>(selectMain, [name])
    let gap: AtollError | undefined
    for (const row of rows) {
      if (gap || isRead(row.partition) || !events.some(({ source }) => source === row.source)) continue
      await isOfOneHistory(log, { ...row, subscription: name, furthest: furthestOf(row) }).catch((thrown: unknown) => {
        const error = AtollError.from(thrown)
        if (error.code !== 'LOG_GAP' && error.code !== 'LOG_DIVERGED') throw error
        gap = error
      })
    }
    this.gap = gap
  }
}
