import { AtollError } from '@atoll/host'
import type { Result } from '@atoll/postgres'
import {
  storeFailures,
  type InsertStatement,
  type Queries,
  type Row,
  type Statement,
  type Transaction,
  type Value,
} from '../../driver.ts'
import type { Group, Hook } from '../../group.ts'
import { assertStorable, goesNoFurther, overlapped, usedAfterEnd } from '../../refusals.ts'
import type { Activity } from './activity.ts'
import type { GroupSession } from './session.ts'
import { insertTextOf, noParams, postgresDialect, textOf } from './statements.ts'

/** Queries inside a physical commit, for as long as their user may. */
export class GroupQueries implements Queries {
  readonly dialect = postgresDialect
  readonly commit: Group
  protected readonly session: GroupSession
  protected readonly activity: Activity
  protected ended = false
  #unanswered = 0
  /** Who waits until nothing is. */
  #onAnswered: (() => void)[] = []

  constructor(session: GroupSession, activity: Activity) {
    this.session = session
    this.commit = session.group
    this.activity = activity
  }

  /** Everything from here on is refused. */
  end(): void {
    this.ended = true
    this.activity.end()
  }

  async run(statement: Statement, params: readonly Value[] = noParams): Promise<number> {
    return (await this.ask(textOf(statement), params)).count
  }

  async insert(statement: InsertStatement, params: readonly Value[] = noParams): Promise<number> {
    const { rows } = await this.ask<{ key: number }>(insertTextOf(statement), params)
    return rows[0]!.key // of the one row that it inserted
  }

  /** The rows are sent one behind the other, and so many at a time, for each takes up memory until it is answered. */
  async runEach(statement: Statement, rows: readonly (readonly Value[])[]): Promise<void> {
    const text = textOf(statement)
    for (const params of rows) assertStorable(params)
    for (let from = 0; from < rows.length; from += rowsInFlightMax) {
      await Promise.all(rows.slice(from, from + rowsInFlightMax).map((params) => this.ask(text, params)))
    }
  }

  async get<R = Row>(statement: Statement, params: readonly Value[] = noParams): Promise<R | undefined> {
    return (await this.ask<R>(textOf(statement), params)).rows[0]
  }

  async all<R = Row>(statement: Statement, params: readonly Value[] = noParams): Promise<R[]> {
    return (await this.ask<R>(textOf(statement), params)).rows
  }

  protected ask<R = Row>(text: string, params: readonly Value[]): Promise<Result<R>> {
    this.assertOpen()
    assertStorable(params)
    return this.guarded(() => this.session.query<R>(text, params))
  }

  /** Asks the server, and notes what it says. */
  protected async guarded<T>(ask: () => Promise<T>): Promise<T> {
    this.#unanswered++
    try {
      return await this.activity.during(ask)
    } catch (error) {
      throw this.failed(error)
    } finally {
      if (--this.#unanswered === 0) for (const resolve of this.#onAnswered.splice(0)) resolve()
    }
  }

  /** Whether anything that was asked is unanswered. */
  protected get waits(): boolean {
    return this.#unanswered > 0
  }

  /**
   * Resolves when nothing that was asked is unanswered. Its user may have forgotten to wait for it, and it may fail.
   */
  protected async answered(): Promise<void> {
    if (this.waits) await new Promise<void>((resolve) => this.#onAnswered.push(resolve))
  }

  protected failed(error: unknown): AtollError {
    return AtollError.from(error)
  }

  protected assertOpen(): void {
    if (this.ended) throw usedAfterEnd(this.session.name)
    if (this.commit.failure) throw this.commit.failure
  }
}

const rowsInFlightMax = 500

/** One work's share of a physical commit. */
export class PostgresTransaction extends GroupQueries implements Transaction {
  /** Hooks of this work; the group takes them over when the work has ended well. */
  #hooks: [key: object, hook: Hook][] = []
  undone = false
  #depth = 0
  #broken: AtollError | undefined
  /** What a statement failed with; the server takes no other until its savepoint is undone. */
  #failure: AtollError | undefined
  #storeFailure: AtollError | undefined

  get storeFailure(): AtollError | undefined {
    return this.#storeFailure ?? this.commit.failure
  }

  get refusal(): AtollError | undefined {
    return this.commit.refusal
  }

  async savepoint<T>(work: () => Promise<T>): Promise<T> {
    this.assertOpen()
    const depth = ++this.#depth
    const name = `inner_${depth}`
    const hooksBefore = this.#hooks.length
    // it fails where the statement before it has, which is noted
    this.guarded(() => this.session.set(name)).catch(() => undefined)
    let result: T
    try {
      result = await work()
      await this.answered()
      if (this.#failure) throw goesNoFurther(this.#failure)
    } catch (error) {
      if (this.#leave(depth)) await this.#undoTo(name, hooksBefore)
      throw error
    }
    this.assertOpen()
    if (!this.#leave(depth)) throw this.#broken!
    this.session.release(name)
    return result
  }

  send(statement: InsertStatement, params: readonly Value[], onKey: (key: number) => void): void {
    this.assertOpen()
    assertStorable(params)
    // What is unanswered may fail, and this behind it, which is the work's own doing.
    if (this.waits) return void this.insert(statement, params).then(onKey, () => undefined)
    // of the one row that it inserted
    this.session.send<{ key: number }>(insertTextOf(statement), params, ({ rows }) => onKey(rows[0]!.key))
  }

  beforeCommit(key: object, hook: Hook): void {
    this.assertOpen()
    if (!this.#hooks.some(([known]) => known === key)) this.#hooks.push([key, hook])
  }

  /** The work has come to its end. Rejects if it has not ended well after all. */
  async keep(): Promise<void> {
    this.end()
    await this.answered()
    if (this.commit.failure) throw this.commit.failure
    if (this.#broken) throw this.#broken
    if (this.#failure) throw goesNoFurther(this.#failure)
    for (const [key, hook] of this.#hooks) if (!this.commit.hooks.has(key)) this.commit.hooks.set(key, hook)
  }

  /** The work has failed. */
  async undo(): Promise<void> {
    this.end()
    this.undone = true
    await this.session.undo()
  }

  protected override assertOpen(): void {
    super.assertOpen()
    if (this.#failure) throw goesNoFurther(this.#failure)
  }

  protected override failed(error: unknown): AtollError {
    const failure = super.failed(error)
    if (storeFailures.has(failure.code)) this.#storeFailure ??= failure
    this.#failure ??= failure
    return failure
  }

  /** What goes wrong here is noted like any failure, and fails the work. */
  async #undoTo(savepoint: string, hooks: number): Promise<void> {
    try {
      await this.guarded(() => this.session.rollBackTo(savepoint))
      this.#hooks.splice(hooks)
      this.#failure = undefined
    } catch {
      // its user hears of what went wrong before
    }
  }

  /**
   * Whether the innermost savepoint is the one to end. Two that overlap would undo each other's changes, so then
   * nothing is ended, and the whole work fails.
   */
  #leave(depth: number): boolean {
    if (this.ended || this.commit.failure) return false
    if (this.#depth-- !== depth) this.#broken ??= overlapped()
    return this.#broken === undefined
  }
}
