import { unexecutedOf } from './kysely.ts'
import { isExecuting, notExecuted, uncalled } from './not-executed.ts'
import { PreparedStatement } from './prepared.ts'
import { describe, isBuilder } from './unexecuted.ts'

/**
 * Refuses, with NOT_EXECUTED, what a handler built and did not execute: what it `returned`, if that is a query, a
 * function or a generator, or holds a query; any write; a read that it awaited. `db`: its Kysely, or the queries that
 * this runs on. What became a part of another query is not meant.
 */
export function assertExecuted(db: object | undefined, returned?: unknown): void {
  const found = db && unexecutedOf(db)?.take()
  if (found)
    throw notExecuted(
      found.place === undefined ? found.query : `${found.query} at ${found.place}`,
      `${found.query} … .execute()`,
    )
  if (typeof returned === 'function')
    throw notExecuted('a function that the handler returned', 'its call, so that what it does is done')
  if (typeof returned !== 'object' || returned === null) return
  // which most answers are: only what lies in them is looked at
  if (Object.getPrototypeOf(returned) === Object.prototype) refuseFields(returned)
  else if (Array.isArray(returned)) refuseListed(returned)
  else if (generators.has(returned[Symbol.toStringTag as keyof typeof returned]))
    throw notExecuted('a generator that the handler returned', 'an async function in its place')
  else refuseQuery(returned)
}

/** A handler has failed before it came to execute what it built. */
export function forgetUnexecuted(db: object): void {
  unexecutedOf(db)?.take()
}

function refuseQuery(value: unknown): void {
  if (typeof value === 'function' && isExecuting(value)) throw uncalled(value.name)
  if (typeof value !== 'object') return
  if (isBuilder(value))
    throw notExecuted(describe(value.toOperationNode()), '.execute() at the end of what is returned')
  if (value instanceof PreparedStatement)
    throw notExecuted('a prepared statement', '.run(db, …), .get or .all behind it')
}

/** A long list is one of rows, or each of it is a query. */
function refuseListed(list: readonly unknown[]): void {
  for (let index = 0; index < list.length && index < LOOKED_INTO_MAX; index++) refuseQuery(list[index])
}

function refuseFields(fields: object): void {
  let looked = 0
  for (const name in fields) {
    if (looked++ === LOOKED_INTO_MAX) return
    refuseQuery(fields[name as keyof typeof fields])
  }
}

const LOOKED_INTO_MAX = 100

const generators: ReadonlySet<unknown> = new Set(['Generator', 'AsyncGenerator'])
