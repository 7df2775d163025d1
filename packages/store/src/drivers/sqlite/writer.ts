import { AtollError, type Host } from '@atoll/host'
import { storeFailures, type Transaction, type WriteOptions } from '../../driver.ts'
import type { Connection } from './connection.ts'
import { GroupSize } from '../../group-size.ts'
import { Group, type Write } from '../../group.ts'
import { notCommitted, usedAfterClose, waited } from '../../refusals.ts'
import { WriteQueue } from '../../write-queue.ts'
import { Control } from './control.ts'
import type { SqliteLimits } from './limits.ts'
import { GroupQueries, SqliteTransaction } from './transaction.ts'

/**
 * The one writer of a store. Works run one after the other, each under a savepoint, and those that are ready in the
 * same turn share one commit and one fsync. Nobody is answered before that.
 *
 * SQLite answers at once, so a work that waits for nothing else ends within the turn in which it began. One that is
 * still there when the turn ends waits for something outside, and would keep everybody else waiting with it: it is
 * undone.
 *
 * It is driven by callbacks, made once, and not by async functions: what one work costs beyond its SQL is what a store
 * costs.
 */
export class Writer {
  readonly #connection: Connection
  readonly #control: Control
  readonly #host: Host
  readonly #limits: SqliteLimits
  readonly #groupSize: GroupSize
  readonly #queue: WriteQueue
  #group: Group | undefined
  /** The work under way, and what it works with. */
  #current: Write | undefined
  #tx: SqliteTransaction | undefined
  /** What the hooks work with, while they run. */
  #hookQueries: GroupQueries | undefined
  /** A commit has left works over, and the next begins with the next turn: others must get theirs. */
  #resting = false
  #drainAsked = false
  #turnAsked = false
  #settle = this.#makeSettle()
  #reads: (() => void)[] = []
  #closed: Promise<void> | undefined
  #onDrained: (() => void) | undefined
  readonly #drain = (): void => this.#begin()
  readonly #onTurn = (): void => this.#turn()

  constructor(connection: Connection, host: Host, limits: SqliteLimits) {
    this.#connection = connection
    this.#control = new Control(connection.database)
    this.#host = host
    this.#limits = limits
    this.#groupSize = new GroupSize(limits.groupWritesMax)
    this.#queue = new WriteQueue(connection.file, limits.writesQueuedMax)
  }

  write<T>(work: (tx: Transaction) => Promise<T>, options?: WriteOptions): Promise<T> {
    if (this.#closed) return Promise.reject(usedAfterClose(this.#connection.file, 'written'))
    const written = this.#queue.add(work, options?.urgent === true)
    if (!this.#drainAsked && this.#queue.length > 0) this.#askToDrain()
    return written
  }

  /** Runs `read` when no commit is open: now, or before the next one begins. */
  betweenCommits<T>(read: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const attempt = (): void => {
        try {
          resolve(read())
        } catch (error) {
          reject(error)
        }
      }
      if (this.#group) this.#reads.push(attempt)
      else attempt()
    })
  }

  /** Resolves when all that was asked for is done. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      if (this.#isIdle) resolve()
      else this.#onDrained = resolve
    })
    return this.#closed
  }

  get #isIdle(): boolean {
    return !this.#group && this.#queue.length === 0
  }

  #askToDrain(): void {
    if (this.#current || this.#hookQueries || this.#resting) return // it comes to the queue by itself
    this.#drainAsked = true
    queueMicrotask(this.#drain)
  }

  #begin(): void {
    this.#drainAsked = false
    if (!this.#group) {
      const group = new Group(this.#host.monotonicMs() + this.#limits.groupOpenMs)
      try {
        this.#control.begin.run()
      } catch (error) {
        this.#refuseAll(this.#connection.error(error))
        return
      }
      this.#group = group
    }
    this.#askForTurn()
    this.#next(this.#group)
  }

  /**
   * Starts the next work, or ends a group that is full. With nothing left to start, the group stays open until the turn
   * ends.
   */
  #next(group: Group): void {
    while (this.#queue.length > 0 || group.failure) {
      if (group.failure) return this.#fail(group, group.failure)
      if (group.count > 0 && (group.count >= this.#groupSize.worksMax || this.#host.monotonicMs() >= group.untilMs))
        return this.#finish(group)
      group.count++
      const write = this.#queue.take()
      const tx = new SqliteTransaction(this.#connection, this.#control, group)
      this.#current = write
      this.#tx = tx
      try {
        write.work(tx).then(this.#settle.done, this.#settle.failed)
        return
      } catch (error) {
        this.#undo(group, error)
      }
    }
  }

  #done(result: unknown): void {
    const group = this.#group!
    const write = this.#current!
    try {
      this.#tx!.keep()
    } catch (error) {
      this.#undo(group, this.#connection.error(error))
      return this.#next(group)
    }
    this.#current = undefined
    write.result = result
    group.written.push(write)
    this.#next(group)
  }

  #undo(group: Group, error: unknown): void {
    const write = this.#current!
    this.#current = undefined
    try {
      this.#tx!.undo()
    } catch (failure) {
      group.failure ??= this.#connection.error(failure)
    }
    if (!this.#control.isOpen) group.failure ??= this.#connection.error(error)
    group.refuse(write, error)
  }

  /** Runs the hooks, then commits. */
  #finish(group: Group): void {
    if (group.hooks.size === 0) return this.#commit(group)
    const queries = new GroupQueries(this.#connection, this.#control, group)
    this.#hookQueries = queries
    this.#askForTurn()
    runHooks(group, queries).then(
      () => this.#group === group && this.#commit(group),
      (error: unknown) => this.#group === group && this.#fail(group, this.#connection.error(error)),
    )
  }

  #commit(group: Group): void {
    if (group.failure) return this.#fail(group, group.failure)
    try {
      this.#control.commit.run()
    } catch (error) {
      const failure = this.#connection.error(error)
      if (!storeFailures.has(failure.code)) {
        group.refuseToCommit(failure)
        this.#groupSize.refused()
      }
      return this.#fail(group, failure)
    }
    this.#groupSize.committed()
    group.answer()
    this.#end()
  }

  #fail(group: Group, failure: AtollError): void {
    group.failure = failure
    try {
      this.#control.rollback()
    } finally {
      group.reject(notCommitted(this.#connection.file, failure))
      this.#end()
    }
  }

  #end(): void {
    this.#group = undefined
    this.#hookQueries?.end()
    this.#hookQueries = undefined
    for (const read of this.#reads.splice(0)) read()
    if (this.#isIdle) this.#onDrained?.()
    else {
      this.#resting = true
      this.#askForTurn()
    }
  }

  /** The store could not even begin: those that wait would meet the same, and must not wait for ever. */
  #refuseAll(failure: AtollError): void {
    this.#queue.rejectAll(failure)
    if (this.#isIdle) this.#onDrained?.()
  }

  #askForTurn(): void {
    if (this.#turnAsked) return
    this.#turnAsked = true
    this.#host.turn(this.#onTurn)
  }

  /** All that was ready has run. */
  #turn(): void {
    this.#turnAsked = false
    const group = this.#group
    if (!group) {
      this.#resting = false
      if (!this.#isIdle) this.#askToDrain()
    } else if (this.#current) {
      this.#settle = this.#makeSettle()
      this.#askForTurn()
      this.#undo(group, waited(this.#connection.file, 'a transaction'))
      this.#next(group)
    } else if (this.#hookQueries) {
      this.#fail(group, waited(this.#connection.file, 'a beforeCommit hook'))
    } else {
      this.#finish(group)
    }
  }

  /** What works report to. A work that was given up still reports some day; by then the callbacks are others. */
  #makeSettle(): Settle {
    const settle: Settle = {
      done: (result) => {
        if (this.#settle === settle) this.#done(result)
      },
      failed: (error) => {
        if (this.#settle !== settle) return
        this.#undo(this.#group!, error)
        this.#next(this.#group!)
      },
    }
    return settle
  }
}

interface Settle {
  readonly done: (result: unknown) => void
  readonly failed: (error: unknown) => void
}

async function runHooks(group: Group, queries: GroupQueries): Promise<void> {
  for (const hook of group.hooks.values()) await hook(queries)
}
