import { AtollError } from '@atoll/host'
import type { LogRecord, Offset } from '../../driver.ts'

// Drivers check with these what they are given, before anything leaves the process.

/**
 * Throws INVALID for a name that no system can have: it stands in the names of keys, streams, topics, schemas and
 * users.
 */
export function assertSystemName(system: string): void {
  if (systemPattern.test(system)) return
  throw new AtollError(
    'INVALID',
    `'${system}' cannot name a system: use up to 31 lower case letters, digits and dashes, beginning with a letter`,
  )
}

/** Throws INVALID for a name that no service can have. */
export function assertSource(source: string): void {
  if (sourcePattern.test(source)) return
  throw new AtollError(
    'INVALID',
    `'${source}' cannot name a source: use up to 63 lower case letters, digits and dashes, beginning with a letter`,
  )
}

const systemPattern = /^[a-z][a-z0-9-]{0,30}$/
const sourcePattern = /^[a-z][a-z0-9-]{0,62}$/

/** Throws INVALID for a partition that no log has. */
export function assertPartition(source: string, partition: number): void {
  if (Number.isSafeInteger(partition) && partition >= 0) return
  throw new AtollError('INVALID', `${source} has no partition ${partition}; partitions are whole numbers from 0`)
}

/** Throws INVALID for a record that can stand nowhere, and BODY_TOO_LARGE for data of more than `dataBytesMax`. */
export function assertRecord(source: string, record: LogRecord, dataBytesMax: number): void {
  assertPartition(source, record.partition)
  if (!Number.isSafeInteger(record.number) || record.number < 1) {
    throw new AtollError(
      'INVALID',
      `record ${record.id} of ${source} has number ${record.number}; numbers are whole numbers from 1`,
    )
  }
  if (record.data.length * UTF8_BYTES_MAX <= dataBytesMax) return // most need not be measured
  const bytes = Buffer.byteLength(record.data)
  if (bytes <= dataBytesMax) return
  throw new AtollError(
    'BODY_TOO_LARGE',
    `the data of ${record.type} ${record.id} of ${source} has ${bytes} bytes, and dataBytesMax of the log is ${dataBytesMax}`,
    {
      details: { source, type: record.type, bytes, dataBytesMax },
    },
  )
}

/** A character of JavaScript is at most three bytes of UTF-8. */
const UTF8_BYTES_MAX = 3

/** Throws BODY_TOO_LARGE if there are more records than one append takes. */
export function assertCount(source: string, count: number, appendRecordsMax: number): void {
  if (count <= appendRecordsMax) return
  throw new AtollError(
    'BODY_TOO_LARGE',
    `${count} records of ${source} in one append are over appendRecordsMax (${appendRecordsMax}); append them in parts`,
  )
}

/** What a log says of an offset that is nothing it gives. */
export function notAnOffset(offset: Offset): AtollError {
  return new AtollError(
    'INVALID',
    `'${offset}' is not an offset that this log gave; hand back the offset of a record or a tail`,
  )
}

/** The number that an offset is, where numbers are offsets. Throws {@link notAnOffset}. */
export function numberOfOffset(offset: Offset): number {
  const number = /^[1-9]\d{0,15}$/.test(offset) ? Number(offset) : NaN
  if (Number.isSafeInteger(number)) return number
  throw notAnOffset(offset)
}
