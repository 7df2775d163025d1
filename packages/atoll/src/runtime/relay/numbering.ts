import type { LogRecord } from '@atoll/log/driver'
import type { OutboxEvent } from './outbox.ts'

/**
 * Numbers events in the order of their rows, on from the last number of each partition. `given`: the last number given
 * now, by partition.
 */
export function toRecords(
  rows: readonly OutboxEvent[],
  last: ReadonlyMap<number, number>,
): { readonly records: readonly LogRecord[]; readonly given: ReadonlyMap<number, number> } {
  const given = new Map<number, number>()
  const records = rows.map(({ seq, partition, id, type, version, key, at, data, trace, cause }): LogRecord => {
    const number = (given.get(partition) ?? last.get(partition) ?? 0) + 1
    given.set(partition, number)
    return { partition, number, order: String(seq), id, type, version, key, at, data, trace, cause }
  })
  return { records, given }
}
