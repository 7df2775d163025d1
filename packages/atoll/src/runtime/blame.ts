import { AtollError } from '@atoll/host'

// Whose doing it is that a transaction failed. If it is the store's, the work is tried again as it is, however often; if it is the work's,
// that counts as a try. A store answers for the commits that works share: what they fail with is one of the codes below.

/** What a store says of itself. */
const ofStores: ReadonlySet<string> = new Set(['STORE_FULL', 'STORE_CLOSED', 'STORE_CORRUPT', 'UNAVAILABLE', 'OVERLOADED', 'FENCED', 'LOG_CLOSED'])
/** The same without what a handler may say as well, of what it asked. */
const ofStoresAlone: ReadonlySet<string> = new Set(['STORE_FULL', 'STORE_CLOSED', 'FENCED', 'LOG_CLOSED'])

/** `thrown`: what the work of the transaction threw; undefined if it ended well, or never began. */
export function isStoresDoing(error: unknown, thrown: unknown): boolean {
  return error === thrown ? isOfStoreAlone(error) : error instanceof AtollError && ofStores.has(error.code)
}

/** Whether an error says that the store is at fault, whoever threw it. */
export function isOfStoreAlone(error: unknown): boolean {
  return error instanceof AtollError && ofStoresAlone.has(error.code)
}
