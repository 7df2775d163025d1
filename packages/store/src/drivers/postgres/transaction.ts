import { AtollError } from '@atoll/host'
import type { Result } from '@atoll/postgres'
import type { InsertStatement, Queries, Row, Statement, Transaction, Value } from '../../driver.ts'
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

  async runEach(statement: Statement, rows: readonly (readonly Value[])[]): Promise<void> {
    const text = textOf(statement)
    await Promise.all(rows.map((params) => this.ask(text, params)))
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
    try {
      return await this.activity.during(ask)
    } catch (error) {
      throw this.failed(error)
    }
  }

  protected failed(error: unknown): AtollError {
    return AtollError.from(error)
  }

  protected assertOpen(): void {
    if (this.ended) throw usedAfterEnd(this.session.name)
    if (this.commit.failure) throw this.commit.failure
  }
}

/** One work's share of a physical commit. */
export class PostgresTransaction extends GroupQueries implements Transaction {
  /** Hooks of this work; the group takes them over when the work has ended well. */
  #hooks: [key: object, hook: Hook][] = []
  undone = false
  #depth = 0
  #broken: AtollError | undefined
  /** What a statement failed with; the server takes no other until its savepoint is undone. */
  #failure: AtollError | undefined

  async savepoint<T>(work: () => Promise<T>): Promise<T> {
    this.assertOpen()
    const depth = ++this.#depth
    const name = `inner_${depth}`
    const hooksBefore = this.#hooks.length
    await this.guarded(() => this.session.set(name))
    let result: T
    try {
      result = await work()
      if (this.#failure) throw goesNoFurther(this.#failure)
    } catch (error) {
      if (this.#leave(depth)) {
        await this.guarded(() => this.session.rollBackTo(name))
        this.#hooks.splice(hooksBefore)
        this.#failure = undefined
      }
      throw error
    }
    this.assertOpen()
    if (!this.#leave(depth)) throw this.#broken!
    await this.guarded(() => this.session.release(name))
    return result
  }

  beforeCommit(key: object, hook: Hook): void {
    this.assertOpen()
    if (!this.#hooks.some(([known]) => known === key)) this.#hooks.push([key, hook])
  }

  /** The work has ended well. Throws if it has not. */
  keep(): void {
    this.end()
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
    if (!this.ended) this.#failure ??= failure
    return failure
  }

  /** Whether the innermost savepoint is the one to end. Two that overlap would undo each other's changes, so then nothing is ended, and the whole work fails. */
  #leave(depth: number): boolean {
    if (this.ended || this.commit.failure) return false
    if (this.#depth-- !== depth) this.#broken ??= overlapped()
    return this.#broken === undefined
  }
}
