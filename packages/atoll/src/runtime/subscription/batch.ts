import { AtollError } from '@atoll/host'
import type { StoredRecord } from '@atoll/log/driver'
import type { Transaction } from '@atoll/store/driver'
import type { Subscriber } from '../../service/subscriber.ts'
import { isStoresDoing, noFailedWork } from '../handling/blame.ts'
import type { Attempts } from './attempts.ts'
import { processEnded, type Caution } from './caution.ts'
import type { CursorBook } from './cursor-book.ts'
import type { Cursor } from './cursor.ts'
import { StoreFailure, type SubscriptionGround } from './ground.ts'
import { parked, type HeldEvents, type HeldReason } from './held.ts'
import { OwnQueries } from './own-queries.ts'

/** A batch of records for a projection. */
export interface Batch {
  readonly ground: SubscriptionGround
  readonly book: CursorBook
  readonly held: HeldEvents
  readonly attempts: Attempts
  readonly caution: Caution
  readonly cursor: Cursor
  readonly records: readonly StoredRecord[]
  /** All others of their kind wait for these. */
  readonly urgent?: boolean
  concerns(record: StoredRecord): boolean
}

/**
 * Applies a batch in one transaction. First without savepoints, since nearly always every event fits; if one does not,
 * all is undone and the batch is applied again with a savepoint for each, and the ones that fail are held.
 */
export async function applyBatch(batch: Batch): Promise<void> {
  if (!batch.records.some((record) => batch.concerns(record))) {
    for (const record of batch.records) batch.cursor.pass(record)
    return
  }
  const { refusals } = batch.ground
  if (batch.records.some((record) => refusals.has(record))) return applyOneByOne(batch)
  try {
    await commit(batch, async (tx, record) => {
      await batch.attempts.project(subscriberOf(batch, record), record, tx)
      return undefined
    })
  } catch (error) {
    if (error instanceof StoreFailure) throw error
    await applyEach(batch)
  }
}

/**
 * Applies a batch with a savepoint for each record. A savepoint is no help against what undoes the whole transaction,
 * such as a handler that waits for something other than its store: then the batch is applied once more without that
 * record, which is held.
 */
async function applyEach(batch: Batch): Promise<void> {
  const verdicts = new Map<StoredRecord, HeldReason>()
  for (;;) {
    let applying: StoredRecord | undefined
    try {
      return await commit(batch, async (tx, record) => {
        const verdict = verdicts.get(record)
        if (verdict) return verdict
        applying = record
        const reason = await tryToApply(batch, tx, record)
        applying = undefined
        return reason
      })
    } catch (error) {
      if (error instanceof StoreFailure) throw error
      const [only, ...others] = batch.records
      const culprit = applying ?? only!
      // Each could be applied, and all of them not be written: a constraint that is checked in the end is broken, by
      // one of them.
      if (!applying && others.length > 0) return applyOneByOne(batch)
      if (verdicts.has(culprit) || batch.held.has(culprit.key)) throw error
      verdicts.set(culprit, batch.attempts.verdict(1, error))
    }
  }
}

/**
 * Applies each record in a commit of its own, so that a commit that is refused is known to be the doing of its record.
 */
async function applyOneByOne(batch: Batch): Promise<void> {
  const { attempts, ground } = batch
  for (const record of batch.records) {
    const one = { ...batch, records: [record] }
    const refusal = ground.refusals.take(record)
    if (refusal) await commit(one, async () => attempts.verdict(1, refusal))
    else await applyBatch(one)
  }
}

/**
 * The same under caution: records that may have ended the process are noted, and applied together; each under which it
 * has ended since is applied alone in the process. Once `isOff`, applies none of those that are left.
 */
export async function applyWithCaution(batch: Batch, isOff: () => boolean): Promise<void> {
  const { attempts, caution, cursor, held, records } = batch
  const isTried = (record: StoredRecord): boolean => batch.concerns(record) && !held.has(record.key)
  const isNamed = (record: StoredRecord): boolean => isTried(record) && caution.isNamed(record)
  for (let from = 0; from < records.length;) {
    if (isOff()) return
    const named = records.findIndex((record, index) => index >= from && isNamed(record))
    const to = named === from ? from + 1 : named < 0 ? records.length : named
    const some = { ...batch, records: records.slice(from, to) }
    const [first] = some.records as [StoredRecord, ...StoredRecord[]] // `to` is beyond `from`
    if (named !== from) {
      const suspects = some.records.filter((record) => isTried(record) && caution.careFor(cursor, record))
      if (suspects.length > 0) await attempts.note(suspects)
      await applyBatch(some)
    } else if (caution.wasCutOff(first)) await commit(some, async () => attempts.verdict(1, processEnded(first)))
    else await attempts.alone(first, 1, isOff, () => applyBatch({ ...some, urgent: true }))
    from = to
  }
}

/**
 * Runs `apply` on what concerns the subscription and whose key is free, holds what it gives a reason for, and moves the
 * cursor over all of it.
 */
async function commit(
  batch: Batch,
  apply: (tx: Transaction, record: StoredRecord) => Promise<HeldReason | undefined>,
): Promise<void> {
  const { ground, book, held, attempts, caution, cursor } = batch
  let failed = noFailedWork
  let failing: StoredRecord | undefined
  let opened: Transaction | undefined
  let handled = new Set<StoredRecord>()
  const newlyHeld = new Map<StoredRecord, HeldReason>()
  try {
    await ground.store.write(
      async (tx) => {
        opened = tx
        await book.check(tx)
        handled = new Set()
        const heldKeys = new Set<string>()
        for (const record of batch.records) {
          if (!batch.concerns(record)) continue
          const reason =
            held.has(record.key) || heldKeys.has(record.key)
              ? parked
              : await apply(tx, record).catch((error: unknown) => {
                  const thrown = AtollError.from(error)
                  failed = { thrown, storeFailure: tx.storeFailure }
                  failing = record
                  throw thrown
                })
          if (!reason) {
            handled.add(record)
            if (caution.isOn) await caution.settle(tx, record)
            continue
          }
          newlyHeld.set(record, await attempts.hold(tx, record, reason))
          heldKeys.add(record.key)
        }
        for (const record of batch.records) book.mark(tx, cursor, record, handled.has(record) ? record.type : undefined)
      },
      { urgent: batch.urgent },
    )
  } catch (error) {
    const stopped = failed.storeFailure && failing
    if (isStoresDoing(error, failed))
      throw (stopped && ground.statementFailures.failed(stopped, error)) ?? new StoreFailure(error)
    if (!opened?.refusal) throw error
    // for the next reader: in this one, cursors are ahead of the store
    ground.refusals.note(handled, AtollError.from(error))
    throw new StoreFailure(error)
  }
  for (const record of handled) ground.statementFailures.passed(record)
  // before anybody hears that the cursor has passed them
  for (const [record, reason] of newlyHeld) held.note(record, reason)
  if (caution.isOn) for (const record of batch.records) caution.settled(record)
  book.confirm(opened?.commit)
}

/** Applies a record so that it can be undone alone. Answers why it must be held, if it must. */
async function tryToApply(batch: Batch, tx: Transaction, record: StoredRecord): Promise<HeldReason | undefined> {
  const own = new OwnQueries(tx)
  try {
    await tx.savepoint(() => batch.attempts.project(subscriberOf(batch, record), record, own).finally(() => own.end()))
    return undefined
  } catch (thrown) {
    const error = AtollError.from(thrown)
    if (tx.storeFailure) throw error
    return batch.attempts.verdict(1, error)
  }
}

function subscriberOf(batch: Batch, record: StoredRecord): Subscriber {
  return batch.ground.subscribers.get(record.type)! // only records that concern the subscription come here
}
