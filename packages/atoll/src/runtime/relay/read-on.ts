import { AtollError } from '@atoll/host'
import type { Log, Offset, StoredRecord } from '@atoll/log/driver'

/**
 * What comes after a place that a store has noted. The log refuses a place that it cannot have given: then it is not
 * the log that the store has read so far, and going on anywhere in it would skip events or bring others. So that is a
 * gap as well, LOG_GAP, for the whole store.
 */
export async function readOn(
  log: Log,
  subscription: string,
  source: string,
  partition: number,
  after: Offset | null,
  limit: number,
): Promise<StoredRecord[]> {
  try {
    return await log.read(source, partition, after, limit)
  } catch (thrown) {
    if (after === null || AtollError.from(thrown).code !== 'INVALID') throw thrown
    throw new AtollError(
      'LOG_GAP',
      `the store of ${subscription} belongs to another log than this one: this one never gave the places where it stands. Nothing is read, and nothing skipped. ` +
        'Give the system the log that its stores have read so far; or restore stores and log from the same moment; or begin anew with empty stores',
      { cause: thrown },
    )
  }
}
