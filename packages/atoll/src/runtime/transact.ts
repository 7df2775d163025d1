import { AtollError } from '@atoll/host'
import { kyselyFor } from '@atoll/store'
import type { Store, Transaction } from '@atoll/store/driver'
import type { TransactionContext } from '../service/context.ts'
import type { EventDefinition } from '../contract/event.ts'
import type { Outgoing } from './outbox.ts'
import type { Position } from './position.ts'

/** What surrounds the work of one transaction. */
export interface TransactionFrame {
  /** Before the work: fencing, a recorded answer. Throwing undoes and rejects. */
  before?(tx: Transaction): Promise<void>
  /** The result as it will be answered; throws if it may not be. */
  check?(result: unknown): unknown
  /** After the work and its events, as the last thing before the commit. */
  settle?(tx: Transaction, result: unknown, position: Position): Promise<void> | void
}

/** A transaction's result, and the position of what it emitted. */
export interface Transacted {
  readonly result: unknown
  readonly position: Position
}

/** Runs the work of a handler in one transaction: state, events, timers and what `frame` adds, together or not at all. */
export function transact(
  store: Store,
  outgoing: Outgoing,
  frame: TransactionFrame,
  work: (context: TransactionContext<unknown, EventDefinition>) => unknown,
): Promise<Transacted> {
  return store.write(async (tx) => {
    if (frame.before) await frame.before(tx)
    const context = new OpenTransaction(tx, outgoing)
    let result: unknown
    try {
      result = await work(context)
    } finally {
      context.end()
    }
    if (frame.check) result = frame.check(result)
    const position = await outgoing.write(tx)
    if (frame.settle) await frame.settle(tx, result, position)
    return { result, position }
  })
}

/** What a handler sees of a transaction. Its members are bound, because handlers take it apart: `({ db, emit }) => …`. */
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
    this.#outgoing.cancel(timerId)
  }

  end(): void {
    this.#ended = true
  }

  #assertOpen(what: string): void {
    if (this.#ended) throw new AtollError('TX_CLOSED', `${what} was called after its transaction had ended; await everything inside the tx callback`)
  }
}
