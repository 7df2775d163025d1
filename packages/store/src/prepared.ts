import type { CompiledQuery, Kysely, QueryExecutorProvider } from 'kysely'
import type { DialectParts, Statement, Value } from './driver.ts'
import { kyselyFor, queriesOf } from './kysely.ts'
import { refuseUncalled } from './not-executed.ts'

/** A statement that is built once and run often. `db` is the one of the handler, inside `tx` or outside. */
export interface Prepared<Params, Result> {
  /** Runs it; resolves with the number of rows it changed. */
  run(db: object, params: Params): Promise<number>
  /** Its first row, or undefined. */
  get(db: object, params: Params): Promise<Result | undefined>
  /** All its rows. */
  all(db: object, params: Params): Promise<Result[]>
}

/**
 * Prepares what is built with Kysely, once. Building and compiling a statement costs more than running it, so hot paths
 * are worth it:
 *
 *     const insertOrder = prepared<Tables, { orderId: string; cents: number }>()((db, $) =>
 *       db.insertInto('orders').values({ order_id: $.orderId, cents: $.cents }))
 *     await insertOrder.run(db, { orderId, cents })
 *
 * `$` stands for the parameters: use its members as values. The builder runs once per SQL dialect, so it must not look
 * at them. It may return raw SQL, too: ``sql<{ total: number }>`SELECT sum(cents) AS total FROM orders WHERE buyer_id =
 * ${$.buyerId}` ``.
 */
export function prepared<Tables, Params extends Record<keyof Params, Value>>(): <Result>(
  build: (db: Kysely<Tables>, $: Params) => Buildable<Result>,
) => Prepared<Params, Result> {
  return (build) => new PreparedStatement(build)
}

/** What Kysely's builders and its `sql` have in common. */
export interface Buildable<Result> {
  compile(executorProvider: QueryExecutorProvider): CompiledQuery<Result>
}

export class PreparedStatement<Tables, Params extends object, Result> implements Prepared<Params, Result> {
  readonly #build: (db: Kysely<Tables>, $: Params) => Buildable<Result>
  #compiled: Compiled | undefined

  constructor(build: (db: Kysely<Tables>, $: Params) => Buildable<Result>) {
    this.#build = build
  }

  run(db: object, params: Params): Promise<number> {
    const queries = queriesOf(db)
    const { statement, slots } = this.#compile(queries.dialect)
    return queries.run(statement, fill(slots, params))
  }

  get(db: object, params: Params): Promise<Result | undefined> {
    const queries = queriesOf(db)
    const { statement, slots } = this.#compile(queries.dialect)
    return queries.get<Result>(statement, fill(slots, params))
  }

  all(db: object, params: Params): Promise<Result[]> {
    const queries = queriesOf(db)
    const { statement, slots } = this.#compile(queries.dialect)
    return queries.all<Result>(statement, fill(slots, params))
  }

  /** A program runs on one dialect; should it ever mix them, each change compiles anew. */
  #compile(dialect: DialectParts): Compiled {
    if (this.#compiled?.dialect === dialect) return this.#compiled
    // stands for values that come later
    const placeholders = new Proxy({}, { get: (_, name) => new Placeholder(String(name)) }) as Params
    const db = kyselyFor<Tables>({
      dialect,
      run: neverRun,
      insert: neverRun,
      runEach: neverRun,
      get: neverRun,
      all: neverRun,
    })
    const { sql, parameters } = this.#build(db, placeholders).compile(db)
    this.#compiled = { dialect, statement: { sql, ofService: true }, slots: parameters }
    return this.#compiled
  }
}

refuseUncalled(PreparedStatement.prototype, ['run', 'get', 'all'])

interface Compiled {
  readonly dialect: DialectParts
  readonly statement: Statement
  /** A placeholder for each parameter that comes later, and the value itself for each that does not. */
  readonly slots: readonly unknown[]
}

class Placeholder {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}

function fill(slots: readonly unknown[], params: object): Value[] {
  const values = new Array<Value>(slots.length)
  for (let index = 0; index < slots.length; index++) {
    const slot = slots[index]
    // typed by Params and by Kysely
    values[index] = (slot instanceof Placeholder ? (params as Record<string, Value>)[slot.name] : slot) as Value
  }
  return values
}

async function neverRun(): Promise<never> {
  throw new Error('a prepared statement is built, not run, by its builder')
}
