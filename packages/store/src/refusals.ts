import { AtollError } from '@atoll/host'
import { storeFailures, type Value } from './driver.ts'
import { isOfRuntime } from './own-tables.ts'

// What every driver refuses in the same words.

/** A work, or a hook, that waited for something else than its store. */
export function waited(store: string, who: 'a transaction' | 'a beforeCommit hook'): AtollError {
  return new AtollError(
    'TX_WAITED',
    `${who} of ${store} waited for something other than its store, and was undone. Do the waiting (fetch, call, timers, crypto) before tx, and pass the result in`,
  )
}

/** What a transaction answers after one of its statements has failed. */
export function goesNoFurther(failure: Error): AtollError {
  return new AtollError(
    'TX_FAILED',
    `a statement of this transaction failed, and the failure was caught; nothing more can run in it: ${failure.message}`,
    { cause: failure },
  )
}

/** Two savepoints of one work that do not lie one within the other. */
export function overlapped(): AtollError {
  return new AtollError(
    'UNSUPPORTED',
    'two savepoints of one transaction overlapped; await each before the next begins',
  )
}

/**
 * What those hear whose shared commit failed: by what its store says of itself, and by nothing that could be taken for
 * a work's own doing.
 */
export function notCommitted(store: string, failure: AtollError): AtollError {
  if (storeFailures.has(failure.code) || failure.code === 'TX_WAITED') return failure // a hook may have waited
  return new AtollError('UNAVAILABLE', `a commit of ${store} failed, and nothing of it lasted: ${failure.reason}`, {
    cause: failure,
  })
}

export function usedAfterEnd(store: string): AtollError {
  return new AtollError(
    'TX_CLOSED',
    `a transaction of ${store} was used after it had ended; await everything inside its callback`,
  )
}

export function usedAfterClose(store: string, how: 'read' | 'written'): AtollError {
  return new AtollError('STORE_CLOSED', `${store} was ${how} after close`)
}

export function readOnly(store: string): AtollError {
  return new AtollError('UNSUPPORTED', `${store} was to be written through a reader; write in a transaction`)
}

/** Statements that begin, end or undo transactions, or reach for what is not the store's. */
export function notForServices(sql: string): AtollError {
  return new AtollError(
    'UNSUPPORTED',
    `'${sql.slice(0, 40)}' is not for services: a store begins, ends and undoes transactions itself, and knows no other`,
  )
}

/**
 * Refuses, with INVALID, what not every engine keeps as it is: texts with U+0000, on which C strings end, or with half
 * of a character, of which UTF-8 makes another one; NaN, which SQLite takes for NULL; integers of more than 64 bits;
 * and what is no value of a store at all.
 */
export function assertStorable(params: readonly Value[]): void {
  for (const param of params) {
    if (
      typeof param === 'string'
        ? param.includes('\0') || !param.isWellFormed()
        : typeof param === 'number'
          ? param !== param
          : !isStorable(param)
    )
      throw notStorable(param)
  }
}

/** `undefined` is NULL, as for Kysely and the engines' own libraries. */
function isStorable(param: Exclude<Value, string | number> | undefined): boolean {
  if (param === null || param === undefined || param instanceof Uint8Array) return true
  return typeof param === 'bigint' && BigInt.asIntN(64, param) === param
}

function notStorable(param: unknown): AtollError {
  return new AtollError('INVALID', reasonFor(param))
}

function reasonFor(param: unknown): string {
  if (typeof param === 'string')
    return param.includes('\0')
      ? 'a text with the character U+0000 cannot be stored; take it out, or store bytes'
      : 'a text with half of a surrogate pair cannot be stored, for it is no character; take it out (toWellFormed), or store bytes'
  if (typeof param === 'number')
    return 'NaN cannot be stored: SQLite would take it for NULL; store NULL, if that is meant'
  if (typeof param === 'bigint') return 'an integer of more than 64 bits cannot be stored; store it as a text'
  if (typeof param === 'boolean') return 'true and false cannot be stored as they are; store 1 and 0'
  if (param instanceof Date)
    return 'a Date cannot be stored as it is: store its milliseconds (getTime), or its text (toISOString)'
  return `a value of type ${typeof param === 'object' ? (param?.constructor?.name ?? 'object') : typeof param} cannot be stored as it is; store a text (JSON.stringify), a number, a bigint, bytes (Uint8Array) or null`
}

/**
 * Refuses a migration that comes before one which `store` has had already: made anew, a store would have them in the
 * other order, and may come to be another one. The runtime's own (`atoll-…`) are independent of each other, and stand
 * before those of services.
 */
export function assertInOrder(store: string, names: readonly string[], applied: { has(name: string): boolean }): void {
  const own = names.filter((name) => !isOfRuntime(name))
  const last = own.findLastIndex((name) => applied.has(name))
  const late = own.slice(0, Math.max(last, 0)).find((name) => !applied.has(name))
  if (late === undefined) return
  throw new AtollError(
    'MIGRATION_OUT_OF_ORDER',
    `migration ${late} comes before ${own[last]}, which ${store} has had already. It was not touched: put ${late} behind it, under a name that sorts there`,
  )
}

/** The rules for names, which become names of files, schemas and roles. */
export function assertName(name: string): void {
  if (!/^[a-z][a-z0-9.-]*$/.test(name))
    throw new AtollError(
      'DEFINITION_INVALID',
      `store name '${name}' must be lower case letters, digits, dots and dashes`,
    )
}

/** Of two tables of one name, queries would see the first alone and say nothing. */
export function refuseTwins(
  stores: readonly { readonly name: string; /** Without the runtime's own. */ readonly tables: readonly string[] }[],
): void {
  const owners = new Map<string, string>()
  for (const { name, tables } of stores) {
    for (const table of tables) {
      const owner = owners.get(table)
      if (owner !== undefined)
        throw new AtollError(
          'DEFINITION_INVALID',
          `stores ${owner} and ${name} both have a table ${table}, and queries read both stores: name one of them otherwise`,
        )
      owners.set(table, name)
    }
  }
}

/** MIGRATION_CHANGED if a migration is not what was applied `where`; by digest of its text. */
export function assertUnchanged(where: string, name: string, digest: string, applied: string): void {
  if (digest === applied) return
  throw new AtollError(
    'MIGRATION_CHANGED',
    `migration ${name} differs from what was applied to ${where}; restore it, and put the change into a new migration (the digest of what was applied is ${applied}; it is ${digest} now)`,
  )
}
