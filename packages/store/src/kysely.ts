import { AtollError } from '@atoll/host'
import {
  DefaultQueryExecutor,
  Kysely,
  QueryCreator,
  type AbortableQueryOptions,
  type CompiledQuery,
  type ConnectionProvider,
  type DatabaseConnection,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type KyselyPlugin,
  type QueryCompiler,
  type QueryId,
  type QueryResult,
  type RootOperationNode,
} from 'kysely'
import type { DialectParts, Queries, Row, Statement, Value } from './driver.ts'
import { intercept, question, Unexecuted } from './unexecuted.ts'

/**
 * A Kysely that runs on the given queries: on a transaction, or on committed state. One per object. Transactions come
 * by the ten thousand, so it hangs on the object itself; a WeakMap of them would cost the garbage collector a quarter
 * of the time.
 */
export function kyselyFor<Tables>(queries: Queries): Kysely<Tables> {
  const owner: MayHaveDb = queries
  return toKysely((owner[madeFor] ??= new Db(queries)))
}

/** A Kysely of its own on queries that several share, so that `assertExecuted` speaks of what one of them built. */
export function createKysely<Tables>(queries: Queries): Kysely<Tables> {
  return toKysely(new Db(queries))
}

/**
 * What was built on such a Kysely and not executed so far; undefined if nothing was ever built. `db`: the Kysely, or
 * the queries that {@link kyselyFor} made one for.
 */
export function unexecutedOf(db: object): Unexecuted | undefined {
  return (db instanceof Db ? db : (db as MayHaveDb)[madeFor])?.unexecuted
}

/** What a Kysely made by {@link kyselyFor} runs on. For prepared statements, which go past the builder. */
export function queriesOf(db: object): Queries {
  if (db instanceof Db) return db.queries
  throw new AtollError(
    'UNSUPPORTED',
    'this Kysely was not made by Atoll: pass the db of the handler or of tx, as it is',
  )
}

const madeFor = Symbol('kysely')

type MayHaveDb = Partial<Queries> & { [madeFor]?: Db }

/**
 * Everything of Kysely but its Kysely, which is made when the first query is built: to make one costs as much as to run
 * a prepared statement, which needs none.
 */
class Db {
  readonly queries: Queries
  #kysely: QueriesKysely | undefined

  constructor(queries: Queries) {
    this.queries = queries
  }

  get kysely(): QueriesKysely {
    return (this.#kysely ??= new QueriesKysely(this.queries))
  }

  get unexecuted(): Unexecuted | undefined {
    return this.#kysely?.unexecuted
  }
}

Object.setPrototypeOf(Db.prototype, Kysely.prototype) // it is one to whoever asks
for (const { prototype } of [QueryCreator, Kysely])
  for (const name of Reflect.ownKeys(prototype)) if (name !== 'constructor') forward(name, prototype)

/** Hands a member on to the Kysely itself, whose private fields only it has. */
function forward(name: string | symbol, members: object): void {
  // it is among its own keys
  const { value } = Object.getOwnPropertyDescriptor(members, name) as TypedPropertyDescriptor<unknown>
  const get = (db: Db): unknown => db.kysely[name as keyof QueriesKysely] // it has just been found there
  Object.defineProperty(Db.prototype, name, {
    configurable: true,
    ...(typeof value === 'function'
      ? {
          value(this: Db, ...args: unknown[]): unknown {
            return (get(this) as (...args: unknown[]) => unknown).apply(this.kysely, args)
          },
        }
      : {
          get(this: Db): unknown {
            return get(this)
          },
        }),
  })
}

function toKysely<Tables>(db: Db): Kysely<Tables> {
  return db as unknown as Kysely<Tables> // by its members; the tables are a matter of types alone
}

class QueriesKysely extends Kysely<unknown> {
  readonly unexecuted: Unexecuted

  constructor(queries: Queries) {
    const parts = partsOf(queries.dialect)
    const unexecuted = new Unexecuted()
    super({
      config: parts.config,
      dialect: parts.dialect,
      driver: refusingDriver,
      executor: new QueriesExecutor(parts, new QueriesConnection(queries), unexecuted),
    })
    this.unexecuted = unexecuted
  }
}

intercept(QueriesKysely.prototype, (kysely) => (kysely as QueriesKysely).unexecuted)

interface Parts {
  readonly adapter: DialectAdapter
  readonly compiler: QueryCompiler
  readonly dialect: Dialect
  readonly config: { readonly dialect: Dialect }
}

const partsByDialect = new WeakMap<DialectParts, Parts>()

function partsOf(parts: DialectParts): Parts {
  let made = partsByDialect.get(parts)
  if (!made) {
    const dialect: Dialect = {
      createAdapter: () => parts.createAdapter(),
      createQueryCompiler: () => parts.createQueryCompiler(),
      createIntrospector: (db) => parts.createIntrospector(db),
      createDriver: () => refusingDriver,
    }
    made = { adapter: parts.createAdapter(), compiler: parts.createQueryCompiler(), dialect, config: { dialect } }
    partsByDialect.set(parts, made)
  }
  return made
}

/** Runs queries where they belong at once; Kysely's own way there, for pools and plugins, has several promises more. */
class QueriesExecutor extends DefaultQueryExecutor {
  readonly #parts: Parts
  readonly #connection: QueriesConnection
  readonly #unexecuted: Unexecuted

  constructor(
    parts: Parts,
    connection: QueriesConnection,
    unexecuted: Unexecuted,
    plugins: readonly KyselyPlugin[] = [],
  ) {
    super(parts.compiler, parts.adapter, connection, [...plugins])
    this.#parts = parts
    this.#connection = connection
    this.#unexecuted = unexecuted
  }

  override transformQuery<T extends RootOperationNode>(node: T, queryId: QueryId): T {
    const asked = question()
    if (asked !== undefined) {
      this.#unexecuted.answer(asked, node, queryId)
      return node
    }
    this.#unexecuted.used(queryId)
    return super.transformQuery(node, queryId)
  }

  override compileQuery(node: RootOperationNode, queryId: QueryId): CompiledQuery {
    this.#unexecuted.compiled(queryId, node)
    return super.compileQuery(node, queryId)
  }

  override executeQuery<R>(compiled: CompiledQuery, options?: AbortableQueryOptions): Promise<QueryResult<R>> {
    this.#unexecuted.executed(compiled.queryId)
    return options?.signal || this.plugins.length > 0
      ? super.executeQuery(compiled, options)
      : this.#connection.executeQuery(compiled)
  }

  override withPlugin(plugin: KyselyPlugin): DefaultQueryExecutor {
    return this.#with([...this.plugins, plugin])
  }

  override withPlugins(plugins: readonly KyselyPlugin[]): DefaultQueryExecutor {
    return this.#with([...this.plugins, ...plugins])
  }

  override withPluginAtFront(plugin: KyselyPlugin): DefaultQueryExecutor {
    return this.#with([plugin, ...this.plugins])
  }

  override withoutPlugins(): DefaultQueryExecutor {
    return this.#with([])
  }

  #with(plugins: readonly KyselyPlugin[]): QueriesExecutor {
    return new QueriesExecutor(this.#parts, this.#connection, this.#unexecuted, plugins)
  }
}

class QueriesConnection implements DatabaseConnection, ConnectionProvider {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  provideConnection<T>(consumer: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    return consumer(this)
  }

  async executeQuery<R>(compiled: CompiledQuery): Promise<QueryResult<R>> {
    const statement = statementOf(compiled.sql)
    const params = compiled.parameters as readonly Value[] // Kysely's compilers put parameters through as they are
    if (changesOnly(compiled)) return { rows: [], numAffectedRows: BigInt(await this.#queries.run(statement, params)) }
    return { rows: (await this.#queries.all<Row>(statement, params)) as R[] } // Kysely's types say what the columns are
  }

  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new AtollError('UNSUPPORTED', 'streaming is not offered: read in pages, by key')
  }
}

/** Whether a query answers with a number of rows instead of rows. Of raw SQL, only the text tells. */
function changesOnly({ query, sql }: CompiledQuery): boolean {
  if (query.kind === 'InsertQueryNode' || query.kind === 'UpdateQueryNode' || query.kind === 'DeleteQueryNode')
    return !query.returning
  return query.kind === 'RawNode' && /^\s*(insert|update|delete|replace)\b/i.test(sql) && !/\breturning\b/i.test(sql)
}

/**
 * By SQL text, so that drivers prepare a text once. Bounded, because text may hold generated parts (`in (?, ?, …)`).
 */
const statements = new Map<string, Statement>()

function statementOf(sql: string): Statement {
  let statement = statements.get(sql)
  if (!statement) {
    if (statements.size >= STATEMENTS_MAX) statements.clear()
    statements.set(sql, (statement = { sql, ofService: true }))
  }
  return statement
}

const STATEMENTS_MAX = 2_000

const refuse = async (): Promise<never> => {
  throw new AtollError('UNSUPPORTED', 'Kysely transactions are not offered here: a handler has one transaction, tx')
}

const refusingDriver: Driver = {
  init: async () => {},
  acquireConnection: refuse,
  beginTransaction: refuse,
  commitTransaction: refuse,
  rollbackTransaction: refuse,
  releaseConnection: async () => {},
  destroy: async () => {},
}
