import { AtollError } from '@atoll/host'
import { assertExecuted, kyselyFor } from '@atoll/store'
import type { Queries, Store, Transaction } from '@atoll/store/driver'
import type { TransactionContext } from '../../service/context.ts'
import type { EventDefinition } from '../../contract/event.ts'
import type { FailedWork } from './blame.ts'
import type { Outgoing } from './outgoing.ts'
import { emptyPosition, type Position } from '../position.ts'

/** What surrounds the work of one transaction. */
export interface TransactionFrame {
  /** Others wait for this one to end, so it goes before what waits to be written. */
  readonly urgent?: boolean
  /**
   * Says, while the work is under way, whether it may take effect: fencing, a recorded answer. If it rejects, all is
   * undone, and that is what the transaction rejects with, whatever became of the work.
   */
  guard?(tx: Transaction): Promise<void> | undefined
  /** The result as it will be answered; throws if it may not be. */
  check?(result: unknown): unknown
  /** What the result of work that emitted nothing rests on. Without it: nothing. */
  readonly restsOn?: ((queries: Queries) => Promise<Position>) | undefined
  /** After the work and its events: what else is true from its commit on. */
  settle?(tx: Transaction): Promise<void> | undefined | void
  /** The same, and records the result. */
  record?(tx: Transaction, result: unknown, position: Position): Promise<void>
  /** As soon as it has committed. */
  committed?(): void
}

/** A transaction's result, and the position of what it emitted. */
export interface Transacted {
  readonly result: unknown
  readonly position: Position
}

/** How far a transaction has got: whose fault a failure is depends on it. */
export interface Progress {
  /** How its work failed, if it did. */
  failedWork: FailedWork
  /** Why it must not begin any more, if that is so. */
  readonly reason: unknown
  /** Runs the work. */
  within<T>(work: () => T): T
  /** The work has ended well, and is to be committed. Throws if it must not be. */
  decide(): void
  /** Refuses what was built outside the transaction and not executed. */
  assertExecuted(): void
}

/**
 * Runs the work of a handler in one transaction: state, events, timers and what `frame` adds, together or not at all.
 * It waits for nothing that is not a promise: this is what every command and every event goes through.
 */
export function transact(
  store: Store,
  outgoing: Outgoing,
  frame: TransactionFrame,
  progress: Progress,
  work: (context: TransactionContext<unknown, EventDefinition>) => unknown,
): Promise<Transacted> {
  const written = store.write(
    async (tx) => {
      const guarded = frame.guard?.(tx)
      guarded?.catch(() => undefined) // heard below
      if (progress.reason !== undefined) throw progress.reason
      const context = new OpenTransaction(tx, outgoing)
      let result: unknown
      try {
        result = progress.within(() => work(context))
        if (result instanceof Promise || isThenable(result)) result = await result
        assertExecuted(tx, result)
        progress.assertExecuted()
        progress.decide()
      } catch (error) {
        progress.failedWork = { thrown: error, storeFailure: tx.storeFailure }
        throw error
      } finally {
        context.end()
        if (guarded) await guarded
      }
      // schemas and `etag` are the service's code as well
      if (frame.check) result = progress.within(() => frame.check!(result))
      let position = outgoing.isEmpty ? emptyPosition : await outgoing.write(tx, frame.record !== undefined)
      if (!outgoing.hasEvents && frame.restsOn) position = await frame.restsOn(tx)
      const settled = frame.settle?.(tx)
      if (settled) await settled
      if (frame.record) await frame.record(tx, result, position)
      return { result, position }
    },
    { urgent: frame.urgent },
  )
  if (!frame.committed) return written
  return written.then((transacted) => {
    frame.committed!() // looked at just now
    return transacted
  })
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value
}

/**
 * What a handler sees of a transaction. Its members are bound, because handlers take it apart: `({ db, emit }) => …`.
 */
class OpenTransaction implements TransactionContext<unknown, EventDefinition> {
  readonly #tx: Transaction
  readonly #outgoing: Outgoing
  #ended = false

  constructor(tx: Transaction, outgoing: Outgoing) {
    this.#tx = tx
    this.#outgoing = outgoing
  }

  // Made when asked for: a handler that only emits, or only runs prepared statements elsewhere, does not pay for it.
  get db(): TransactionContext<unknown, EventDefinition>['db'] {
    return kyselyFor(this.#tx)
  }

  readonly emit: TransactionContext<unknown, EventDefinition>['emit'] = (event, data) => {
    this.#assertOpen('emit')
    this.#outgoing.emit(event, data)
  }

  readonly schedule: TransactionContext<unknown, EventDefinition>['schedule'] = (event, data, when) => {
    this.#assertOpen('schedule')
    return this.#outgoing.schedule(event, data, when)
  }

  readonly cancel: TransactionContext<unknown, EventDefinition>['cancel'] = (timerId) => {
    this.#assertOpen('cancel')
    return this.#outgoing.cancel(this.#tx, timerId)
  }

  end(): void {
    this.#ended = true
  }

  #assertOpen(what: string): void {
    if (this.#ended)
      throw new AtollError(
        'TX_CLOSED',
        `${what} was called after its transaction had ended; await everything inside the tx callback`,
      )
  }
}
