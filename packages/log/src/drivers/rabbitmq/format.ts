import { AtollError } from '@atoll/host'
import type { LogRecord, Offset, StoredRecord } from '../../driver.ts'
import { notAnOffset } from '../shared/checks.ts'

// How a log lies in RabbitMQ: a stream for each source and partition, `atoll/shop/orders/3`. A message holds all
// records that were ready for it at once, as a JSON array of rows: RabbitMQ takes it whole or not at all, and one
// confirmation is for many records. A message without rows is a mark: see `writeMark`.

type Row = [
  number: number,
  id: string,
  type: string,
  version: number,
  key: string,
  order: string,
  at: number,
  data: string,
  trace: string,
  cause: string,
]

export function toRow({ number, id, type, version, key, order, at, data, trace, cause }: LogRecord): string {
  return JSON.stringify([number, id, type, version, key, order, at, data, trace, cause] satisfies Row)
}

export function toBody(rows: readonly string[]): Buffer {
  return Buffer.from(`[${rows.join(',')}]`)
}

/**
 * A place in a stream: of which message, which record from 0, and that record's number, by which another stream of that
 * name shows.
 */
export interface Place {
  readonly message: number
  readonly index: number
  readonly number: number
}

function toOffset({ message, index, number }: Place): Offset {
  return `${message}.${index}.${number}`
}

/** Throws INVALID for what is no offset of such a log. */
export function toPlace(offset: Offset): Place {
  const parts = /^(0|[1-9]\d{0,14})\.(0|[1-9]\d{0,8})\.([1-9]\d{0,14})$/.exec(offset)
  if (parts) return { message: Number(parts[1]), index: Number(parts[2]), number: Number(parts[3]) }
  throw notAnOffset(offset)
}

/** Negative if `a` comes before `b`, 0 if it is the same. The beginning (null) comes before all. */
export function comparePlaces(a: Place | null, b: Place | null): number {
  if (a === null || b === null) return (a === null ? 0 : 1) - (b === null ? 0 : 1)
  return a.message - b.message || a.index - b.index
}

/** The records of a message; none of a mark. Throws STORE_CORRUPT for one that no log has written. */
export function toRecords(source: string, partition: number, message: number, content: Buffer): StoredRecord[] {
  try {
    const rows = JSON.parse(content.toString()) as Row[] // what toRow wrote; what is not of that form is caught below
    if (!Array.isArray(rows)) throw new Error('it is no list of records')
    return rows.map(([number, id, type, version, key, order, at, data, trace, cause], index) => {
      if (!Number.isSafeInteger(number) || typeof data !== 'string') throw new Error(`its record ${index} is none`)
      return {
        source,
        partition,
        number,
        offset: toOffset({ message, index, number }),
        order,
        id,
        type,
        version,
        key,
        at,
        data,
        trace,
        cause,
      }
    })
  } catch (cause) {
    throw new AtollError(
      'STORE_CORRUPT',
      `the stream of partition ${partition} of ${source} holds a message at ${message} that this log did not write. Find out who did, and restore the stream`,
      { cause },
    )
  }
}
