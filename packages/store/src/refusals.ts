import { AtollError } from '@atoll/host'
import { storeFailures, type Value } from './driver.ts'

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
  return new AtollError('TX_FAILED', `a statement of this transaction failed, and the failure was caught; nothing more can run in it: ${failure.message}`, { cause: failure })
}

/** Two savepoints of one work that do not lie one within the other. */
export function overlapped(): AtollError {
  return new AtollError('UNSUPPORTED', 'two savepoints of one transaction overlapped; await each before the next begins')
}

/** What those hear whose shared commit failed: by what its store says of itself, and by nothing that could be taken for a work's own doing. */
export function notCommitted(store: string, failure: AtollError): AtollError {
  if (storeFailures.has(failure.code) || failure.code === 'TX_WAITED') return failure // a hook may have waited
  return new AtollError('UNAVAILABLE', `a commit of ${store} failed, and nothing of it lasted: ${failure.reason}`, { cause: failure })
}

export function usedAfterEnd(store: string): AtollError {
  return new AtollError('TX_CLOSED', `a transaction of ${store} was used after it had ended; await everything inside its callback`)
}

export function usedAfterClose(store: string, how: 'read' | 'written'): AtollError {
  return new AtollError('STORE_CLOSED', `${store} was ${how} after close`)
}

export function readOnly(store: string): AtollError {
  return new AtollError('UNSUPPORTED', `${store} was to be written through a reader; write in a transaction`)
}

/** Statements that begin, end or undo transactions, or reach for what is not the store's. */
export function notForServices(sql: string): AtollError {
  return new AtollError('UNSUPPORTED', `'${sql.slice(0, 40)}' is not for services: a store begins, ends and undoes transactions itself, and knows no other`)
}

/** Refuses what not every engine can keep: texts with U+0000, on which C strings end. */
export function assertStorable(params: readonly Value[]): void {
  for (const param of params) if (typeof param === 'string' && param.includes('\0')) throw notStorable()
}

function notStorable(): AtollError {
  return new AtollError('INVALID', 'a text with the character U+0000 cannot be stored; take it out, or store bytes')
}

/** The rules for names, which become names of files, schemas and roles. */
export function assertName(name: string): void {
  if (!/^[a-z][a-z0-9.-]*$/.test(name)) throw new AtollError('DEFINITION_INVALID', `store name '${name}' must be lower case letters, digits, dots and dashes`)
}

/** Of two tables of one name, queries would see the first alone and say nothing. */
export function refuseTwins(stores: readonly { readonly name: string; /** Without the runtime's own. */ readonly tables: readonly string[] }[]): void {
  const owners = new Map<string, string>()
  for (const { name, tables } of stores) {
    for (const table of tables) {
      const owner = owners.get(table)
      if (owner !== undefined) throw new AtollError('DEFINITION_INVALID', `stores ${owner} and ${name} both have a table ${table}, and queries read both stores: name one of them otherwise`)
      owners.set(table, name)
    }
  }
}
