import type { LogRecord, Offset, StoredRecord } from '../../driver.ts'

/** A record with the place that it has in a log. It is a copy, field by field, so that all of them have one shape. */
export function toStored(source: string, record: LogRecord, offset: Offset): StoredRecord {
  return {
    source,
    partition: record.partition,
    number: record.number,
    offset,
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

/** Readers get copies: what one does to a record is not for the next one to see. */
export function copyOf(record: StoredRecord): StoredRecord {
  return toStored(record.source, record, record.offset)
}
