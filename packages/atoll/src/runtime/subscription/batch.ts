import type { StoredRecord } from '@atoll/log/driver'
import type { Transaction } from '@atoll/store/driver'
import type { Subscriber } from '../../service/subscriber.ts'
import { isStoreFailure } from '../handling.ts'
import type { Attempts } from './attempts.ts'
import type { CursorBook } from './cursor-book.ts'
import type { Cursor } from './cursor.ts'
import { StoreFailure, type SubscriptionGround } from './ground.ts'
import type { HeldEvents, HeldReason } from './held.ts'

/** A batch of records for a projection. */
export interface Batch {
  readonly ground: SubscriptionGround
  readonly book: CursorBook
  readonly held: HeldEvents
  readonly attempts: Attempts
  readonly cursor: Cursor
  readonly records: readonly StoredRecord[]
  concerns(record: StoredRecord): boolean
}

/**
 * Applies a batch in one transaction. First without savepoints, since nearly always every event fits; if one does not, all is undone
 * and the batch is applied again with a savepoint for each, and the ones that fail are held.
 */
export async function applyBatch(batch: Batch): Promise<void> {
  if (!batch.records.some((record) => batch.concerns(record))) {
    for (const record of batch.records) batch.cursor.pass(record)
    return
  }
  try {
    await commit(batch, async (tx, record) => {
      await batch.attempts.project(subscriberOf(batch, record), record, tx)
      return true
    })
  } catch (error) {
    if (error instanceof StoreFailure) throw error
    const newlyHeld = new Set<string>()
    await commit(batch, (tx, record) => applyOrHold(batch, tx, record, newlyHeld))
    for (const key of newlyHeld) batch.held.keys.add(key)
  }
}

/** Runs `apply` on what concerns the subscription and whose key is free, and moves the cursor over all of it. */
async function commit(batch: Batch, apply: (tx: Transaction, record: StoredRecord) => Promise<boolean>): Promise<void> {
  const { ground, book, held, cursor } = batch
  let isApplying = false
  try {
    await ground.store.write(async (tx) => {
      await book.check(tx)
      isApplying = true
      const handled = new Set<StoredRecord>()
      for (const record of batch.records) {
        if (!batch.concerns(record)) continue
        if (held.keys.has(record.key)) await batch.attempts.hold(tx, record, parked)
        else if (await apply(tx, record)) handled.add(record)
      }
      for (const record of batch.records) book.mark(tx, cursor, record, handled.has(record) ? record.type : undefined)
      isApplying = false
    })
  } catch (error) {
    throw !isApplying || isStoreFailure(error) ? new StoreFailure(error) : error
  }
}

const parked: HeldReason = { state: 'parked', attempts: 0, dueAt: 0, error: undefined }

/** Whether it was applied; else it is held. */
async function applyOrHold(batch: Batch, tx: Transaction, record: StoredRecord, newlyHeld: Set<string>): Promise<boolean> {
  let reason = parked
  if (!newlyHeld.has(record.key)) {
    try {
      await tx.savepoint(() => batch.attempts.project(subscriberOf(batch, record), record, tx))
      return true
    } catch (error) {
      if (isStoreFailure(error)) throw error
      reason = batch.attempts.verdict(1, error)
      newlyHeld.add(record.key)
    }
  }
  await batch.attempts.hold(tx, record, reason)
  return false
}

function subscriberOf(batch: Batch, record: StoredRecord): Subscriber {
  return batch.ground.subscribers.get(record.type)! // only records that concern the subscription come here
}
