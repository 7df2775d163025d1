import { AtollError, type Host } from '@atoll/host'
import { toAtollError } from '@atoll/sqlite'
import type { Queries, Statement, Transaction } from '../../driver.ts'
import { DirectQueries, type Connection } from './connection.ts'
import type { SqliteLimits } from './limits.ts'
import { SqliteTransaction } from './transaction.ts'

const begin: Statement = { sql: 'BEGIN IMMEDIATE' }
const commit: Statement = { sql: 'COMMIT' }
const rollback: Statement = { sql: 'ROLLBACK' }
const savepoint: Statement = { sql: 'SAVEPOINT work' }
const release: Statement = { sql: 'RELEASE work' }
const undo: Statement = { sql: 'ROLLBACK TO work' }

interface Write {
  readonly work: (tx: Transaction) => Promise<unknown>
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

/**
 * The one writer of a store. Works run one after the other, each under a savepoint, and those that are ready in the same turn share one
 * commit and one fsync. Nobody is answered before that.
 *
 * SQLite answers at once, so a work that waits for nothing else ends within the turn in which it began. One that is still there when
 * the turn ends waits for something outside, and would keep everybody else waiting with it: it is undone.
 */
export class Writer {
  readonly #connection: Connection
  readonly #host: Host
  readonly #limits: SqliteLimits
  readonly #queries: Queries
  #queue: Write[] = []
  #head = 0
  #running: Promise<void> | undefined
  #closed = false
  /** Ends the work under way, if there is one. */
  #interrupt: ((reason: AtollError) => void) | undefined
  /** Ends the wait for more works. */
  #wake: (() => void) | undefined
  #turnAsked = false
  readonly #onTurn = (): void => this.#turn()

  constructor(connection: Connection, host: Host, limits: SqliteLimits) {
    this.#connection = connection
    this.#host = host
    this.#limits = limits
    this.#queries = new DirectQueries(connection)
  }

  write<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new AtollError('STORE_CLOSED', `${this.#connection.file} was written after close`))
    if (this.#queue.length - this.#head >= this.#limits.writesQueuedMax) {
      return Promise.reject(new AtollError('OVERLOADED', `${this.#connection.file} has ${this.#limits.writesQueuedMax} transactions waiting (writesQueuedMax)`))
    }
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ work, resolve: resolve as (result: unknown) => void, reject }) // the work's own result comes back to it
      this.#running ??= this.#run()
    })
  }

  /** Resolves when no commit is open. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running
  }

  get isOpen(): boolean {
    return this.#running !== undefined
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.idle()
  }

  async #run(): Promise<void> {
    await null // works that come in the same step join the first group
    while (this.#head < this.#queue.length) await this.#group()
    this.#running = undefined
  }

  async #group(): Promise<void> {
    const group: Group = { written: [], results: [], hooks: new Map() }
    try {
      this.#connection.run(begin, [])
      await this.#fill(group)
      for (const hook of group.hooks.values()) await hook(this.#queries)
      this.#connection.run(commit, [])
    } catch (error) {
      this.#rollBack()
      const failure = toAtollError(error, this.#connection.file)
      for (const write of group.written) write.reject(failure)
      // The store could not even begin: those that wait would meet the same, and must not wait for ever.
      if (group.written.length === 0 && this.#head < this.#queue.length) this.#next().reject(failure)
      return
    }
    for (let index = 0; index < group.written.length; index++) group.written[index]!.resolve(group.results[index])
  }

  /** Runs works until none is left at the end of a turn, or the group is full. */
  async #fill(group: Group): Promise<void> {
    const untilMs = this.#host.monotonicMs() + this.#limits.groupOpenMs
    for (let count = 0; count < this.#limits.groupWritesMax; count++) {
      if (this.#head === this.#queue.length) {
        await this.#endOfTurn()
        if (this.#head === this.#queue.length) return
      }
      await this.#work(this.#next(), group)
      if (!this.#connection.database.inTransaction) {
        throw new AtollError('UNAVAILABLE', `${this.#connection.file} gave up the transaction that this work shared with others`)
      }
      if (this.#host.monotonicMs() > untilMs) return
    }
  }

  /** One work under its savepoint. Never rejects: a work that fails is told so, and the group goes on. */
  #work(write: Write, group: Group): Promise<void> {
    const tx = new SqliteTransaction(this.#connection, group)
    return new Promise<void>((resolve) => {
      let over = false
      const fail = (error: unknown): void => {
        if (over) return
        over = true
        tx.end()
        this.#interrupt = undefined
        this.#undo()
        write.reject(error)
        resolve()
      }
      const succeed = (result: unknown): void => {
        if (over) return
        over = true
        tx.end()
        this.#interrupt = undefined
        try {
          this.#connection.run(release, [])
        } catch (error) {
          write.reject(error)
          resolve()
          return
        }
        group.written.push(write)
        group.results.push(result)
        for (const [key, hook] of tx.hooks) if (!group.hooks.has(key)) group.hooks.set(key, hook)
        resolve()
      }
      this.#interrupt = fail
      this.#askForTurn()
      try {
        this.#connection.run(savepoint, [])
        write.work(tx).then(succeed, fail)
      } catch (error) {
        fail(error)
      }
    })
  }

  #next(): Write {
    const write = this.#queue[this.#head++]!
    if (this.#head === this.#queue.length) {
      this.#queue = []
      this.#head = 0
    }
    return write
  }

  #endOfTurn(): Promise<void> {
    this.#askForTurn()
    return new Promise((resolve) => (this.#wake = resolve))
  }

  #askForTurn(): void {
    if (this.#turnAsked) return
    this.#turnAsked = true
    this.#host.turn(this.#onTurn)
  }

  #turn(): void {
    this.#turnAsked = false
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
    this.#interrupt?.(
      new AtollError(
        'TX_WAITED',
        `a transaction of ${this.#connection.file} waited for something other than its store, and was undone. Do the waiting (fetch, call, timers, crypto) before tx, and pass the result in`,
      ),
    )
  }

  #undo(): void {
    if (!this.#connection.database.inTransaction) return // SQLite has undone everything by itself; the group will see
    this.#connection.run(undo, [])
    this.#connection.run(release, [])
  }

  #rollBack(): void {
    if (this.#connection.database.inTransaction) this.#connection.run(rollback, [])
  }
}

interface Group {
  readonly written: Write[]
  readonly results: unknown[]
  readonly hooks: Map<object, (queries: Queries) => Promise<void>>
}
