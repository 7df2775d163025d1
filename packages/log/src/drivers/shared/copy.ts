import type { StoredRecord } from '../../driver.ts'

/** Readers get copies: what one does to a record is not for the next one to see. */
export function copyOf(record: StoredRecord): StoredRecord {
  return {
    source: record.source,
    partition: record.partition,
    number: record.number,
    offset: record.offset,
    order: record.order,
    id: record.id,
    type: record.type,
    version: record.version,
    key: record.key,
    at: record.at,
    data: record.data,
    trace: record.trace,
    cause: record.cause,
  }
}
