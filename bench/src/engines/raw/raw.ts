import type { LogRecord } from '@atoll/log/driver'
import { PARTITIONS } from '../logs.ts'

/**
 * A way to write and read events with an engine's client alone: what somebody would write by hand for the same
 * acknowledgement, and nothing more.
 */
export interface Raw {
  /** How it writes, for people. */
  readonly name: string
  /** Makes what the events of a source lie in. */
  begin(source: string): Promise<RawSource>
  close(): Promise<void>
}

export interface RawSource {
  /** Resolves when all of them are durable. */
  append(records: readonly LogRecord[]): Promise<void>
  /** Reads all that was appended, each partition in order; resolves with how many events that were. */
  read(count: number): Promise<number>
  /** Deletes it. */
  end(): Promise<void>
}

/**
 * Reads `count` events, as many of each partition, page after page, all partitions side by side: the loop that a
 * subscriber runs. `page` answers what comes after so many events of a partition.
 */
export async function readPages(
  count: number,
  page: (partition: number, after: number) => Promise<readonly { readonly number: number }[]>,
): Promise<number> {
  const counts = await Promise.all(
    Array.from({ length: PARTITIONS }, async (_, partition) => {
      let after = 0
      while (after < count / PARTITIONS) {
        const last = (await page(partition, after)).at(-1)
        if (!last) break
        after = last.number
      }
      return after
    }),
  )
  return counts.reduce((sum, read) => sum + read, 0)
}

/** Events in one page, as the runtime asks for them. */
export const PAGE = 256
