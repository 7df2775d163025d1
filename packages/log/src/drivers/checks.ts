import { AtollError } from '@atoll/host'
import type { LogRecord } from '../driver.ts'

// What drivers check of what they are given, before anything leaves the process.

/** A name that can stand in the names of keys, streams and users of any engine. Throws INVALID. */
export function assertSystemName(system: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/.test(system)) return
  throw new AtollError('INVALID', `'${system}' cannot name a system on an engine: use up to 63 letters, digits, dots, dashes and underscores`)
}

/** Throws INVALID for a partition or a number that no log can have. */
export function assertPlace(source: string, { partition, number }: Pick<LogRecord, 'partition' | 'number'>): void {
  if (!Number.isSafeInteger(partition) || partition < 0) {
    throw new AtollError('INVALID', `a record of ${source} has partition ${partition}; partitions are whole numbers from 0`)
  }
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new AtollError('INVALID', `a record in partition ${partition} of ${source} has number ${number}; numbers are whole numbers from 1`)
  }
}

/** The bytes of a record's data. Throws BODY_TOO_LARGE if they are more than `dataBytesMax`. */
export function dataBytesOf(source: string, record: LogRecord, dataBytesMax: number): number {
  const bytes = Buffer.byteLength(record.data)
  if (bytes <= dataBytesMax) return bytes
  throw new AtollError('BODY_TOO_LARGE', `the data of ${record.type} ${record.id} of ${source} has ${bytes} bytes, and dataBytesMax of the log is ${dataBytesMax}`, {
    details: { source, type: record.type, bytes, dataBytesMax },
  })
}

/** The same for who need not know how many. A character of JavaScript is at most three bytes of UTF-8, so most data need not be measured. */
export function assertFits(source: string, record: LogRecord, dataBytesMax: number): void {
  if (record.data.length * 3 > dataBytesMax) dataBytesOf(source, record, dataBytesMax)
}

/** Throws BODY_TOO_LARGE if there are more records than one append takes. */
export function assertCount(source: string, count: number, appendRecordsMax: number): void {
  if (count <= appendRecordsMax) return
  throw new AtollError('BODY_TOO_LARGE', `${count} records of ${source} in one append are over appendRecordsMax (${appendRecordsMax}); append them in parts`)
}
