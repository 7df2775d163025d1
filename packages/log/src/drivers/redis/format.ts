import { AtollError } from '@atoll/host'
import type { LogRecord, StoredRecord } from '../../driver.ts'

// How a log lies in Redis: a stream for each source and partition, and in it an entry for each record. The entry's id
// is made of the record's number, so numbers are offsets, a repeated record is found at its place, and XADD by itself
// refuses to go back.
//
//   XRANGE atoll:{shop/orders}:3 - + COUNT 1
//   1) "1-0"  2) "id" "0198c5a2-…"  "head" "[\"order.placed\",1,\"order-7\",…]"  "data" "{…}"

/**
 * The fields of an entry besides `id` and `data`, in one: Redis handles each field apart, and reading three is twice as
 * fast as nine.
 */
type Head = [type: string, version: number, key: string, order: string, at: number, trace: string, cause: string]

export function headOf({ type, version, key, order, at, trace, cause }: LogRecord): string {
  return JSON.stringify([type, version, key, order, at, trace, cause] satisfies Head)
}

/** An entry as Redis answers it: its id, then names and values by turns. */
export type Entry = readonly [id: string, fields: readonly string[]]

/** Throws STORE_CORRUPT for an entry that no log has written. */
export function toStored(source: string, partition: number, [entryId, [, id, , head, , data]]: Entry): StoredRecord {
  const number = numberOfEntry(source, partition, entryId)
  try {
    // what headOf wrote; anything else is caught, or shows in the types below
    const [type, version, key, order, at, trace, cause] = JSON.parse(head!) as Head
    return {
      source,
      partition,
      number,
      offset: String(number),
      order,
      id: id!,
      type,
      version,
      key,
      at,
      data: data!,
      trace,
      cause,
    }
  } catch (cause) {
    throw foreign(source, partition, entryId, cause)
  }
}

export function numberOfEntry(source: string, partition: number, entryId: string): number {
  const number = Number(entryId.slice(0, -2))
  if (entryId.endsWith('-0') && Number.isSafeInteger(number)) return number
  throw foreign(source, partition, entryId)
}

export function foreign(source: string, partition: number, entryId: string, cause?: unknown): AtollError {
  return new AtollError(
    'STORE_CORRUPT',
    `the stream of partition ${partition} of ${source} holds entry ${entryId}, which this log did not write. Find out who did, and restore the stream`,
    { cause },
  )
}
