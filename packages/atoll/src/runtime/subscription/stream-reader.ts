import { AtollError } from '@atoll/host'
import type { StoredRecord } from '@atoll/log/driver'
import { assertSame, isOfOneHistory } from '../relay/history.ts'
import { readOn } from '../relay/read-on.ts'
import type { Cursor } from './cursor.ts'
import type { SubscriptionGround } from './ground.ts'

/**
 * Reads the next records for the cursors of one partition, and notices when some are missing, or are others than those
 * that were handled. It skips nothing: it calls `halt` with LOG_GAP or LOG_DIVERGED, and gives out nothing beyond that
 * place.
 */
export class StreamReader {
  readonly #ground: SubscriptionGround
  readonly #partition: number
  readonly #halt: (why: AtollError) => void

  constructor(ground: SubscriptionGround, partition: number, halt: (why: AtollError) => void) {
    this.#ground = ground
    this.#partition = partition
    this.#halt = halt
  }

  /** Looks whether the log has the records that cursors stand at, before anything of it is handled. */
  async prove(cursors: readonly Cursor[]): Promise<void> {
    const { log, name } = this.#ground
    await this.#orHalt(undefined, async () => {
      for (const cursor of cursors) {
        const { source, number, offset, id, previousOffset, furthest } = cursor
        cursor.isProven ||= await isOfOneHistory(log, {
          subscription: name,
          source,
          partition: this.#partition,
          number,
          offset,
          id,
          previousOffset,
          furthest,
        })
      }
    })
  }

  /** What comes next for a cursor. */
  next({ source, readOffset }: Cursor): Promise<StoredRecord[]> {
    const { log, name, options } = this.#ground
    return this.#orHalt([], () => readOn(log, name, source, this.#partition, readOffset, options.readBatchMax))
  }

  /** Those of the next records that are new to a cursor: no duplicates, and nothing beyond a backfill's end. */
  admit(cursor: Cursor, records: readonly StoredRecord[]): StoredRecord[] {
    const fresh: StoredRecord[] = []
    try {
      for (const record of records) {
        if (cursor.until !== undefined && record.number > cursor.until) break
        if (record.number > cursor.readNumber && !this.#isHandled(cursor, record)) fresh.push(record)
        cursor.readNumber = Math.max(cursor.readNumber, record.number)
        cursor.readOffset = record.offset
      }
    } catch (error) {
      this.#halt(AtollError.from(error))
    }
    return fresh
  }

  /**
   * Whether the next record was handled ahead of the cursor. Throws if it is not the next, or not the one that was
   * handled.
   */
  #isHandled(cursor: Cursor, record: StoredRecord): boolean {
    const { source, readNumber } = cursor
    const reader = { subscription: this.#ground.name, source, partition: this.#partition }
    if (record.number !== readNumber + 1) {
      throw new AtollError(
        'LOG_GAP',
        `${reader.subscription} has read ${source} up to number ${readNumber} in partition ${reader.partition}, and the next is ${record.number}`,
      )
    }
    const handled = cursor.ahead.get(record.number)
    if (!handled) return false
    if (handled.id !== null) assertSame({ ...reader, number: record.number, id: handled.id }, record)
    cursor.pass(record)
    return true
  }

  async #orHalt<T>(otherwise: T, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (thrown) {
      const error = AtollError.from(thrown)
      if (error.code !== 'LOG_GAP' && error.code !== 'LOG_DIVERGED') throw error
      this.#halt(error)
      return otherwise
    }
  }
}
