import { AtollError } from '@atoll/host'
import { storeFailures } from '@atoll/store/driver'

// Decides whether a failed transaction counts as a try. Failures of the store are tried again without limit; those of
// the handler use up a try. What a handler throws says nothing of that: it may have the code of a failure that some
// other store has had, or that it made up. Works share commits, and a store answers for those: what they fail with is
// one of `storeFailures`.

/** How the work of a transaction failed. */
export interface FailedWork {
  /** What it threw; undefined if it ended well, or never began. */
  readonly thrown: unknown
  /** What its store had failed with by then. */
  readonly storeFailure: AtollError | undefined
}

/** The work has not failed. */
export const noFailedWork: FailedWork = { thrown: undefined, storeFailure: undefined }

/** Whether a transaction failed with `error` by its store's doing. */
export function isStoresDoing(error: unknown, { thrown, storeFailure }: FailedWork): boolean {
  return error === thrown
    ? storeFailure !== undefined
    : error instanceof AtollError && (storeFailures.has(error.code) || error.code === 'LOG_CLOSED')
}

/**
 * Whether a transaction of the runtime's own failed since there is no room, or since its store was closed: it is tried
 * again as it is.
 */
export function isOfNoRoom(error: unknown): boolean {
  return ['STORE_FULL', 'STORE_CLOSED', 'LOG_CLOSED'].includes(AtollError.from(error).code)
}
