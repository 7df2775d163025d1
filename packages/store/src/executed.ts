import { AtollError } from '@atoll/host'
import { unexecutedOf } from './kysely.ts'
import { PreparedStatement } from './prepared.ts'
import { describe, isBuilder } from './unexecuted.ts'

/**
 * Refuses, with NOT_EXECUTED, what a handler built and did not execute: what it `returned`, if that is a query; any write; a read that it
 * awaited. `db`: its Kysely, or the queries that this runs on. What became a part of another query is not meant.
 */
export function assertExecuted(db: object | undefined, returned?: unknown): void {
  const what = db && unexecutedOf(db)?.take()
  if (what !== undefined) throw notExecuted(what, `${what} … .execute()`)
  if (isBuilder(returned)) throw notExecuted(describe(returned.toOperationNode()), '.execute() at the end of what is returned')
  if (returned instanceof PreparedStatement) throw notExecuted('a prepared statement', '.run(db, …), .get or .all behind it')
}

/** A handler has failed before it came to execute what it built. */
export function forgetUnexecuted(db: object): void {
  unexecutedOf(db)?.take()
}

function notExecuted(what: string, remedy: string): AtollError {
  return new AtollError('NOT_EXECUTED', `${what} was built and never executed, so it did nothing, and what its handler did was undone. Write ${remedy}, await it, and build a write only where it is executed`)
}
