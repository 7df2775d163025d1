import {
  Kysely,
  NOOP_QUERY_EXECUTOR,
  QueryCreator,
  SchemaModule,
  type OperationNode,
  type QueryId,
  type RootOperationNode,
} from 'kysely'
import { refuseUncalled } from './not-executed.ts'
import { describePlace, isPlaceNoted, notePlacesForAWhile, takePlace, type Place } from './places.ts'
import { isRawWrite, verbOf } from './raw-sql.ts'

// A builder of Kysely does nothing before it is executed, and nobody notices when it never is: awaiting one resolves
// with the builder itself. So what handlers build is looked after here, and refused once it is certain that nothing
// will execute it.

/** The queries of one Kysely that must still be executed. */
export class Unexecuted {
  /**
   * A write, from the moment in which it is begun: one that is not executed is always a mistake. There is nearly always
   * one at a time, so the first needs no map.
   */
  #first: QueryId | undefined
  #firstNode: RootOperationNode | undefined
  #others: Map<QueryId, RootOperationNode> | undefined
  /** Reads that somebody awaited. One that nobody awaits may be a part that another query, or nothing, came to need. */
  #awaited: Map<QueryId, RootOperationNode> | undefined
  /** Where queries were begun, while that is noted. */
  #places: Map<QueryId, Place> | undefined

  /** A query creator has just made this builder. */
  made<Made>(builder: Made): Made {
    if (hasNode(builder)) askFor('made', builder)
    else if (isBeginning(builder)) follow(builder, this)
    return builder
  }

  /** What {@link askFor} asked. */
  answer(question: Question, node: RootOperationNode, queryId: QueryId): void {
    if (question === 'made') this.#note(queryId, node)
    else (this.#awaited ??= new Map()).set(queryId, node)
    if (isPlaceNoted()) (this.#places ??= new Map()).set(queryId, takePlace(askFor))
  }

  /** It has become a part of another query, or is about to be compiled. */
  used(queryId: QueryId): void {
    this.executed(queryId)
    this.#awaited?.delete(queryId)
  }

  /** To compile a write is not to execute it. Whether raw SQL is one is looked at if nobody executes it. */
  compiled(queryId: QueryId, node: RootOperationNode): void {
    if (node.kind !== 'SelectQueryNode') this.#note(queryId, node)
  }

  executed(queryId: QueryId): void {
    // its node would outlive it by the time that a commit takes
    if (this.#first === queryId) this.#first = this.#firstNode = undefined
    else this.#others?.delete(queryId)
    this.#places?.delete(queryId)
  }

  /** Forgets all of them, and says what the first is. */
  take(): Found | undefined {
    if (this.#first === undefined && this.#others === undefined && this.#awaited === undefined) return undefined
    const nodes = [
      ...(this.#first !== undefined && this.#firstNode ? [[this.#first, this.#firstNode] as const] : []),
      ...(this.#others ?? []),
      ...(this.#awaited ?? []),
    ]
    const places = this.#places
    this.#first = this.#firstNode = this.#others = this.#awaited = this.#places = undefined
    const [queryId, node] = nodes.find(([, one]) => one.kind !== 'RawNode' || isRawWrite(one)) ?? []
    if (!queryId || !node) return undefined
    notePlacesForAWhile()
    const place = places?.get(queryId)
    return { query: describe(node), place: place && describePlace(place) }
  }

  #note(queryId: QueryId, node: RootOperationNode): void {
    if (this.#first !== undefined && this.#first !== queryId)
      return void (this.#others ??= new Map()).set(queryId, node)
    this.#first = queryId
    this.#firstNode = node
  }
}

/** A query that nobody executed. */
export interface Found {
  /** Its beginning, as it stands in the code. */
  readonly query: string
  /** Where that is, if it was noted. */
  readonly place: string | undefined
}

/** Whether this is a query that was built and not executed: a builder, or raw SQL. */
export function isBuilder(value: unknown): value is HasNode {
  return typeof value === 'object' && value !== null && 'execute' in value && hasNode(value)
}

/**
 * Has every query of a query creator looked after. Kysely makes more of them: for common table expressions, schemas,
 * plugins.
 */
function lookAfter<Creator extends object>(creator: Creator, unexecuted: Unexecuted): Creator {
  return intercept(creator, () => unexecuted)
}

/** The same for every object of a class; `find` tells whose its queries are. */
export function intercept<Target extends object>(target: Target, find: (creator: object) => Unexecuted): Target {
  // Kysely's methods, by their names
  const members = target as Record<string, ((...args: unknown[]) => unknown) | undefined>
  for (const name of [...writes, ...definitions, ...creators]) {
    const make = members[name]
    if (!make) continue
    members[name] = function (this: object, ...args: unknown[]) {
      const made = make.apply(this, args)
      return made instanceof QueryCreator || made instanceof Kysely || made instanceof SchemaModule
        ? lookAfter(made, find(this))
        : find(this).made(made)
    }
  }
  if (target instanceof Kysely)
    Object.defineProperty(target, 'schema', {
      configurable: true,
      get(this: object) {
        return lookAfter(Reflect.get(Kysely.prototype, 'schema', this), find(this))
      },
    })
  return target
}

const writes = ['insertInto', 'replaceInto', 'updateTable', 'deleteFrom', 'mergeInto']
const definitions = [
  'createTable',
  'alterTable',
  'dropTable',
  'createIndex',
  'dropIndex',
  'createView',
  'dropView',
  'refreshMaterializedView',
  'createSchema',
  'dropSchema',
  'createType',
  'alterType',
  'dropType',
]
const creators = [
  'with',
  'withRecursive',
  'withSchema',
  'withPlugin',
  'withoutPlugins',
  'withTables',
  '$extendTables',
  '$omitTables',
  '$pickTables',
]

/** What a builder's executor is asked by way of its node: a builder shows neither its id nor its executor. */
export type Question = 'made' | 'awaited'

let asked: Question | undefined

/** The question under way, for executors; undefined if a node is asked for to be used. */
export function question(): Question | undefined {
  return asked
}

function askFor(what: Question, builder: HasNode): void {
  asked = what
  try {
    builder.toOperationNode()
  } finally {
    asked = undefined
  }
}

/**
 * Builders of reads tell when they are awaited. Until 0.28 Kysely had a `then` there that threw; this one only looks,
 * so an async function may return a builder. It asks the builders of every Kysely: a builder keeps its executor in a
 * private field, and each of its methods makes another builder, so nobody can tell whose it is. Somebody else's Kysely
 * answers nothing, and its plugins transform the query once more at each such await.
 */
function noteAwaited(): void {
  const select = new QueryCreator<{ any: unknown }>({ executor: NOOP_QUERY_EXECUTOR }).selectFrom('any')
  const read = Object.getPrototypeOf(select) as object
  refuseUncalled(read, ['execute', 'executeTakeFirst', 'executeTakeFirstOrThrow'])
  Object.defineProperty(read, 'then', {
    configurable: true,
    get(this: HasNode) {
      try {
        askFor('awaited', this)
      } catch {
        // a plugin of somebody else's Kysely did not expect to be asked
      }
      return undefined
    },
  })
}

noteAwaited()

interface HasNode {
  toOperationNode(): OperationNode
}

function hasNode(value: unknown): value is HasNode {
  return typeof value === 'object' && value !== null && 'toOperationNode' in value
}

/** A merge, or an alteration, becomes a query when it knows what it does: whatever its methods make is looked after. */
function follow(beginning: object, unexecuted: Unexecuted): void {
  const members = beginning as Record<string | symbol, unknown> // Kysely's methods, by their names
  for (const name of Reflect.ownKeys(Object.getPrototypeOf(beginning) as object)) {
    const make = members[name]
    if (typeof make === 'function' && name !== 'constructor')
      members[name] = (...args: unknown[]): unknown => unexecuted.made(make.apply(beginning, args) as unknown)
  }
}

function isBeginning(value: unknown): value is object {
  return typeof value === 'object' && value !== null && ('using' in value || 'renameTo' in value)
}

/** The beginning of a query as it stands in the code: `db.insertInto('orders')`. */
export function describe(node: OperationNode): string {
  if (node.kind === 'RawNode') return `sql\`${verbOf(node) ?? ''}…\``
  if (!(node.kind in verbs)) return 'a query'
  const table = tableOf(node)
  return `db.${verbs[node.kind]}(${table === undefined ? '…' : `'${table}'`})`
}

const verbs: Readonly<Record<string, string>> = {
  SelectQueryNode: 'selectFrom',
  InsertQueryNode: 'insertInto',
  UpdateQueryNode: 'updateTable',
  DeleteQueryNode: 'deleteFrom',
  MergeQueryNode: 'mergeInto',
  CreateTableNode: 'schema.createTable',
  AlterTableNode: 'schema.alterTable',
  DropTableNode: 'schema.dropTable',
  CreateIndexNode: 'schema.createIndex',
  DropIndexNode: 'schema.dropIndex',
  CreateViewNode: 'schema.createView',
  DropViewNode: 'schema.dropView',
  RefreshMaterializedViewNode: 'schema.refreshMaterializedView',
  CreateSchemaNode: 'schema.createSchema',
  DropSchemaNode: 'schema.dropSchema',
  CreateTypeNode: 'schema.createType',
  AlterTypeNode: 'schema.alterType',
  DropTypeNode: 'schema.dropType',
}

/** What a query is about, if it is a plain one: the first table that it names, or what it creates. */
function tableOf(node: unknown): string | undefined {
  if (typeof node !== 'object' || node === null) return undefined
  if ('kind' in node && node.kind === 'IdentifierNode' && 'name' in node) return String(node.name)
  for (const part of ['name', 'into', 'table', 'from', 'froms', 'node', 'identifier', '0', 'schema']) {
    const name = part in node ? tableOf(node[part as keyof typeof node]) : undefined
    if (name !== undefined) return name
  }
  return undefined
}
