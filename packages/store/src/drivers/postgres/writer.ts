import { AtollError, type Host } from '@atoll/host'
import type { Pool } from '@atoll/postgres'
import type { Transaction, WriteOptions } from '../../driver.ts'
import { GroupSize } from '../../group-size.ts'
import { Group, type Hook, type Write } from '../../group.ts'
import { notCommitted, usedAfterClose, waited } from '../../refusals.ts'
import { WriteQueue } from '../../write-queue.ts'
import { Activity } from './activity.ts'
import type { PostgresLimits } from './limits.ts'
import { begin, GroupSession } from './session.ts'
import { GroupQueries, PostgresTransaction } from './transaction.ts'

/**
 * The one writer of a store in this process. Works run one after the other, each under a savepoint, and those that come
 * while others are at work share their commit. Nobody is answered before it.
 */
export class Writer {
  readonly #name: string
  readonly #pool: Pool
  readonly #host: Host
  readonly #limits: PostgresLimits
  readonly #groupSize: GroupSize
  /**
   * Constraints that only a commit would check, as they stand in SQL. They are checked for each work, or one would take
   * others with it.
   */
  readonly #deferred: string | undefined
  readonly #queue: WriteQueue
  #running: Promise<void> | undefined
  /** The last group took nobody who waited, for the sake of one that was urgent. */
  #owesOthers = false
  #closed = false
  /** Of the work under way; committed state that is read meanwhile may be read by it. */
  #activity: Activity | undefined

  constructor(name: string, pool: Pool, host: Host, limits: PostgresLimits, deferred: string | undefined) {
    this.#name = name
    this.#pool = pool
    this.#host = host
    this.#limits = limits
    this.#groupSize = new GroupSize(limits.groupWritesMax)
    this.#queue = new WriteQueue(name, limits.writesQueuedMax)
    this.#deferred = deferred
  }

  write<T>(work: (tx: Transaction) => Promise<T>, options?: WriteOptions): Promise<T> {
    if (this.#closed) return Promise.reject(usedAfterClose(this.#name, 'written'))
    const written = this.#queue.add(work, options?.urgent === true)
    if (this.#queue.length > 0) this.#running ??= Promise.resolve().then(() => this.#run())
    return written
  }

  /** Runs `read`, of committed state, as what a work may wait for. */
  beside<T>(read: () => Promise<T>): Promise<T> {
    return this.#activity ? this.#activity.during(read) : read()
  }

  /** Resolves when all that was asked for is done. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
  }

  async #run(): Promise<void> {
    let isSecondTry = false
    while (this.#queue.length > 0) {
      let group = undefined as Group | undefined // made inside of a function, where the compiler does not look
      let isConnected = false
      try {
        await this.#pool.use(async (client) => {
          isConnected = true
          await begin(client, this.#name, this.#limits.lockMs + ANSWER_MS)
          group = new Group(this.#host.monotonicMs() + this.#limits.groupOpenMs)
          await this.#carryOut(new GroupSession(this.#name, group, client))
        })
        this.#groupSize.committed()
        group?.answer()
        isSecondTry = false
      } catch (error) {
        // also where it did not even begin: no work has had a part in that
        const failure = notCommitted(this.#name, AtollError.from(error))
        group?.reject(failure)
        if (group?.isDisputed || group?.refusal) this.#groupSize.refused()
        if (group) continue
        // A connection may have been lost while nobody used it. No work has begun, so another one may be tried, once.
        isSecondTry = isConnected && !isSecondTry && failure.code === 'UNAVAILABLE'
        // Those that wait would meet the same, and must not wait for ever.
        if (!isSecondTry) this.#queue.rejectAll(failure)
      }
    }
    this.#running = undefined
  }

  /** Runs the works that wait, and those that come to wait meanwhile, up to the limits of a group; then commits. */
  async #carryOut(session: GroupSession): Promise<void> {
    const { group } = session
    try {
      while (this.#queue.length > 0 && !group.failure && this.#hasRoom(group)) {
        group.count++
        const write = this.#queue.take()
        group.isUrgent ||= write.urgent
        await this.#carryOutOne(session, write)
      }
      this.#owesOthers = group.isUrgent && !this.#owesOthers && this.#queue.length > 0
      await this.#runHooks(session)
      if (group.failure) throw group.failure
    } catch (error) {
      group.failure ??= AtollError.from(error)
      await session.rollBack().catch(() => undefined) // a connection that cannot even do that is not used again
      throw error
    }
    await session.commit()
  }

  /**
   * Whether the next work may join. Behind one that others wait for come only more of its kind: each work here costs
   * several round trips, and the commit is what they wait for. But of two such groups in a row, the second is open to
   * all, or a series of them would keep out everybody else.
   */
  #hasRoom(group: Group): boolean {
    if (group.count === 0) return true
    if (group.count >= this.#groupSize.worksMax) return false
    if (this.#host.monotonicMs() >= group.untilMs) return false
    return this.#queue.hasUrgent || !group.isUrgent || this.#owesOthers
  }

  async #carryOutOne(session: GroupSession, write: Write): Promise<void> {
    session.renew()
    const { promise: over, resolve: end } = Promise.withResolvers<Outcome>()
    const giveUp = (): void => end({ failure: waited(this.#name, 'a transaction') })
    const activity = new Activity(this.#host, giveUp)
    const timer = this.#host.after(this.#limits.workMs, () =>
      end({ failure: tookTooLong(this.#name, this.#limits.workMs) }),
    )
    const tx = new PostgresTransaction(session, activity)
    this.#activity = activity
    try {
      write.work(tx).then(
        (result) => end({ result }),
        (failure: unknown) => end({ failure }),
      )
    } catch (failure) {
      end({ failure })
    }
    const outcome = await over
    this.#activity = undefined
    timer.cancel()
    if ('failure' in outcome) return this.#undo(session, tx, write, outcome.failure)
    try {
      await tx.keep()
      if (this.#deferred !== undefined) await session.check(this.#deferred)
    } catch (failure) {
      return this.#undo(session, tx, write, failure)
    }
    write.result = outcome.result
    session.group.written.push(write)
  }

  async #undo({ group }: GroupSession, tx: PostgresTransaction, write: Write, failure: unknown): Promise<void> {
    try {
      await tx.undo()
    } catch (error) {
      group.failure ??= AtollError.from(error)
    }
    group.refuse(write, failure)
  }

  async #runHooks(session: GroupSession): Promise<void> {
    const { hooks } = session.group
    if (session.group.failure || hooks.size === 0) return
    const { promise: idle, reject: giveUp } = Promise.withResolvers<never>()
    idle.catch(() => undefined) // it is raced with the hooks, and may come too late
    const queries = new GroupQueries(
      session,
      new Activity(this.#host, () => giveUp(waited(this.#name, 'a beforeCommit hook'))),
    )
    try {
      await Promise.race([idle, runAll(hooks.values(), queries)])
    } finally {
      queries.end()
    }
  }
}

/**
 * How long beginning may take beyond the wait for the writer, milliseconds, before the connection is held to be lost.
 */
const ANSWER_MS = 2_000

/** It may have waited for something outside while others read, or have asked too much of its store. */
function tookTooLong(store: string, ms: number): AtollError {
  return new AtollError(
    'TX_WAITED',
    `a transaction of ${store} took longer than ${ms} ms (workMs), and was undone: others wait for the same writer. Do before tx what needs no tx, and do less in one`,
  )
}

type Outcome = { readonly result: unknown } | { readonly failure: unknown }

/** Side by side: none of them waits for what another has asked. */
async function runAll(hooks: Iterable<Hook>, queries: GroupQueries): Promise<void> {
  await Promise.all(Array.from(hooks, (hook) => hook(queries)))
}
