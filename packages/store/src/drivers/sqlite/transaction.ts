import { AtollError } from '@atoll/host'
import {
  storeFailures,
  type InsertStatement,
  type Queries,
  type Row,
  type Statement,
  type Transaction,
  type Value,
} from '../../driver.ts'
import {
  allPrepared,
  getPrepared,
  insertPrepared,
  noParams,
  runPrepared,
  runPreparedEach,
  sqliteDialect,
  type Connection,
} from './connection.ts'
import type { Group, Hook } from '../../group.ts'
import { assertStorable, goesNoFurther, overlapped, usedAfterEnd } from '../../refusals.ts'
import type { Control } from './control.ts'

/**
 * Queries inside a physical commit, for as long as their user may. The methods are not async functions: they answer at
 * once, and an async function costs as much as the SQL.
 */
export class GroupQueries implements Queries {
  readonly dialect = sqliteDialect
  readonly commit: Group
  protected readonly connection: Connection
  protected readonly control: Control
  protected ended = false

  constructor(connection: Connection, control: Control, commit: Group) {
    this.connection = connection
    this.control = control
    this.commit = commit
  }

  /** Everything from here on is refused. */
  end(): void {
    this.ended = true
  }

  run(statement: Statement, params: readonly Value[] = noParams): Promise<number> {
    try {
      this.assertOpen()
      assertStorable(params)
      const prepared = this.connection.prepare(statement)
      if (prepared.writes) this.beforeWriting()
      return Promise.resolve(runPrepared(prepared, params))
    } catch (error) {
      return Promise.reject(this.failed(error))
    }
  }

  insert(statement: InsertStatement, params: readonly Value[] = noParams): Promise<number> {
    try {
      this.assertOpen()
      assertStorable(params)
      const prepared = this.connection.prepare(statement)
      this.beforeWriting()
      return Promise.resolve(insertPrepared(prepared, params))
    } catch (error) {
      return Promise.reject(this.failed(error))
    }
  }

  runEach(statement: Statement, rows: readonly (readonly Value[])[]): Promise<void> {
    try {
      this.assertOpen()
      for (const params of rows) assertStorable(params)
      const prepared = this.connection.prepare(statement)
      if (prepared.writes) this.beforeWriting()
      return Promise.resolve(runPreparedEach(prepared, rows))
    } catch (error) {
      return Promise.reject(this.failed(error))
    }
  }

  get<R = Row>(statement: Statement, params: readonly Value[] = noParams): Promise<R | undefined> {
    try {
      this.assertOpen()
      assertStorable(params)
      const prepared = this.connection.prepare(statement)
      if (prepared.writes) this.beforeWriting()
      return Promise.resolve(getPrepared(prepared, params) as R | undefined) // the caller knows its columns
    } catch (error) {
      return Promise.reject(this.failed(error))
    }
  }

  all<R = Row>(statement: Statement, params: readonly Value[] = noParams): Promise<R[]> {
    try {
      this.assertOpen()
      assertStorable(params)
      const prepared = this.connection.prepare(statement)
      if (prepared.writes) this.beforeWriting()
      return Promise.resolve(allPrepared(prepared, params) as R[]) // the caller knows its columns
    } catch (error) {
      return Promise.reject(this.failed(error))
    }
  }

  protected beforeWriting(): void {}

  protected assertOpen(): void {
    if (this.ended) throw usedAfterEnd(this.connection.file)
    if (this.commit.failure) throw this.commit.failure
  }

  /**
   * What SQLite said, for the caller. If SQLite undid the whole transaction over it, then a statement that came after
   * would commit by itself; so nothing of this commit runs any more.
   */
  protected failed(error: unknown): AtollError {
    const failure = this.connection.error(error)
    if (!this.ended && !this.control.isOpen) this.commit.failure ??= failure
    return failure
  }
}

/** One work's share of a physical commit. */
export class SqliteTransaction extends GroupQueries implements Transaction {
  /** Hooks of this work; the group takes them over when the work has ended well. */
  #hooks: [key: object, hook: Hook][] | undefined
  undone = false
  #writing = false
  #depth = 0
  #broken: AtollError | undefined
  /**
   * What a statement failed with. Until its savepoint is undone, nothing more runs: other engines could not go on, so
   * none does.
   */
  #failure: AtollError | undefined
  #storeFailure: AtollError | undefined

  get storeFailure(): AtollError | undefined {
    return this.#storeFailure ?? this.commit.failure
  }

  get refusal(): AtollError | undefined {
    return this.commit.refusal
  }

  async savepoint<T>(work: () => Promise<T>): Promise<T> {
    const depth = this.#enter()
    const hooksBefore = this.#hooks?.length ?? 0
    let result: T
    try {
      result = await work()
      if (this.#failure) throw goesNoFurther(this.#failure)
    } catch (error) {
      if (this.#leave(depth)) {
        this.control.inner.undo.run()
        this.control.inner.release.run()
        this.#hooks?.splice(hooksBefore)
        this.#failure = undefined
      }
      throw error
    }
    this.assertOpen()
    if (!this.#leave(depth)) throw this.#broken!
    this.control.inner.release.run()
    return result
  }

  send(statement: InsertStatement, params: readonly Value[], onKey: (key: number) => void): void {
    let key: number
    try {
      this.assertOpen()
      assertStorable(params)
      const prepared = this.connection.prepare(statement)
      this.beforeWriting()
      key = insertPrepared(prepared, params)
    } catch (error) {
      throw this.failed(error)
    }
    onKey(key)
  }

  beforeCommit(key: object, hook: Hook): void {
    this.assertOpen()
    if (!this.#hooks) this.#hooks = [[key, hook]]
    else if (!this.#hooks.some(([known]) => known === key)) this.#hooks.push([key, hook])
  }

  /** The work has ended well. Throws if it has not. */
  keep(): void {
    this.ended = true
    if (this.commit.failure) throw this.commit.failure
    if (this.#broken) throw this.#broken
    if (this.#failure) throw goesNoFurther(this.#failure)
    if (this.#writing) this.control.work.release.run()
    if (this.#hooks)
      for (const [key, hook] of this.#hooks) if (!this.commit.hooks.has(key)) this.commit.hooks.set(key, hook)
  }

  /** The work has failed. */
  undo(): void {
    this.ended = true
    this.undone = true
    if (!this.#writing || !this.control.isOpen) return
    this.control.work.undo.run()
    this.control.work.release.run()
  }

  protected override assertOpen(): void {
    super.assertOpen()
    if (this.#failure) throw goesNoFurther(this.#failure)
  }

  protected override failed(error: unknown): AtollError {
    const failure = super.failed(error)
    if (storeFailures.has(failure.code)) this.#storeFailure ??= failure
    // what the driver refuses by itself has not run
    if (!this.ended && !(error instanceof AtollError)) this.#failure ??= failure
    return failure
  }

  /** The savepoint of a work is set when it first writes: many only read, or fail before. */
  protected override beforeWriting(): void {
    if (this.#writing) return
    this.control.work.set.run()
    this.#writing = true
  }

  #enter(): number {
    try {
      this.assertOpen()
      this.beforeWriting()
      this.control.inner.set.run()
      return ++this.#depth
    } catch (error) {
      throw this.failed(error)
    }
  }

  /**
   * Whether the innermost savepoint is the one to end. SQLite's savepoints are a stack: two that overlap would undo
   * each other's changes, so then nothing is ended, and the whole work fails.
   */
  #leave(depth: number): boolean {
    if (this.ended || this.commit.failure) return false
    if (this.#depth-- !== depth) this.#broken ??= overlapped()
    return this.#broken === undefined
  }
}
