import { AtollError, isSoundError } from '@atoll/host'
import { storeFailures } from '@atoll/store/driver'

// Whose doing it is that a transaction failed. If it is the store's, the work is tried again as it is, however often; if it is the work's,
// that counts as a try. A store answers for the commits that works share: what they fail with is one of `storeFailures`.

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
