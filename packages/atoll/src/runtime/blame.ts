import { AtollError, isSoundError } from '@atoll/host'
import { storeFailures } from '@atoll/store/driver'

// Decides whether a failed transaction counts as a try. Failures of the store are tried again without limit; those of the handler use up a
// try. Works share commits, and a store answers for those: what they fail with is one of `storeFailures`.

/** What is said of stores, without what a handler may say as well, of what it asked. */
const ofStoresAlone: ReadonlySet<string> = new Set(['STORE_FULL', 'STORE_CLOSED', 'FENCED', 'LOG_CLOSED'])

/** `thrown`: what the work of the transaction threw; undefined if it ended well, or never began. */
export function isStoresDoing(error: unknown, thrown: unknown): boolean {
  return error === thrown ? isOfStoreAlone(error) : error instanceof AtollError && (storeFailures.has(error.code) || error.code === 'LOG_CLOSED')
}

/** Whether an error says that the store is at fault, whoever threw it. */
export function isOfStoreAlone(error: unknown): boolean {
  return isSoundError(error) && error instanceof AtollError && ofStoresAlone.has(error.code)
}
