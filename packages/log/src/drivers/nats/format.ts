// What a message of a stream holds: a line of JSON about the whole, then for each record a line of JSON and its data,
// as they are.
//
// Several records share a message, because a server that syncs before it acknowledges does so for each message. A
// message names the event before its first one, so that a reader sees by what it reads whether anything is missing in
// between, or whether history was exchanged. It also names a place in the stream, so that readers need no headers: its
// own, unless others wrote to other partitions at the same time; then one before it, and nothing of its partition lies
// between.

import { AtollError } from '@atoll/host'
import type { LogRecord, Offset, StoredRecord } from '../../driver.ts'
import { notAnOffset } from '../shared/checks.ts'

/** The records of one message: consecutive numbers of one source and partition. */
export interface Chunk {
  /** Its place in the stream, or one before it with no message of its partition between. */
  readonly seq: number
  /** The id of the event numbered before the first one here; empty before number 1. */
  readonly before: string
  /** At least one. */
  readonly records: readonly StoredRecord[]
  /** The size of the message. */
  readonly bytes: number
}

/** Where an offset points: a record, in a message. */
export interface Place {
  readonly seq: number
  /** How many records follow it in its message. */
  readonly left: number
  readonly number: number
  readonly id: string
}

interface Head {
  readonly atoll: number
  readonly seq: number
  readonly first: number
  readonly count: number
  readonly before: string
}

const formatVersion = 1

/** One record as it stands in a message. */
export function encodeRecord(record: LogRecord): string {
  const { order, id, type, version, key, at, trace, cause, data } = record
  return `${JSON.stringify([order, id, type, version, key, at, trace, cause, data.length])}\n${data}\n`
}

/** The line that goes before the records. */
export function encodeHead(seq: number, first: number, count: number, before: string): string {
  const head: Head = { atoll: formatVersion, seq, first, count, before }
  return `${JSON.stringify(head)}\n`
}

type Line = readonly [
  order: string,
  id: string,
  type: string,
  version: number,
  key: string,
  at: number,
  trace: string,
  cause: string,
  dataLength: number,
]

/** Rejects with STORE_CORRUPT what nobody of Atoll wrote there, and with STORE_NEWER what a newer version did. */
export function decodeChunk(source: string, partition: number, payload: Uint8Array, isAt?: number): Chunk {
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8')
  const where = `${isAt === undefined ? 'a message' : `message ${isAt}`} of partition ${partition} in the stream of ${source}`
  let at = 0
  function line(): unknown {
    const end = text.indexOf('\n', at)
    const from = at
    at = end + 1
    return JSON.parse(text.slice(from, end))
  }
  try {
    const { atoll, seq: named, first, count, before } = line() as Head // checked next
    const seq = isAt ?? named
    if (atoll > formatVersion)
      throw new AtollError(
        'STORE_NEWER',
        `${where} was written by a newer version (format ${atoll}); run that version or a later one`,
      )
    const records: StoredRecord[] = []
    for (let index = 0; index < count; index++) {
      const [order, id, type, version, key, time, trace, cause, dataLength] = line() as Line // as encodeRecord wrote it
      const data = text.slice(at, at + dataLength)
      at += dataLength + 1
      const number = first + index
      const offset = toOffset({ seq, left: count - index - 1, number, id })
      records.push({ source, partition, number, offset, order, id, type, version, key, at: time, data, trace, cause })
    }
    if (atoll !== formatVersion || records.length === 0 || at !== text.length || named > seq)
      throw new Error('its parts do not add up')
    return { seq, before, records, bytes: payload.byteLength }
  } catch (error) {
    if (error instanceof AtollError) throw error
    throw new AtollError(
      'STORE_CORRUPT',
      `${where} is not of this log: somebody else publishes to its subjects, or it was copied to another place, or it is damaged. Restore the stream`,
      { cause: error },
    )
  }
}

export function toOffset({ seq, left, number, id }: Place): Offset {
  return `${seq}.${left}.${number}.${id}`
}

/** Refuses with INVALID what this log never gave. */
export function parseOffset(offset: Offset): Place {
  const [, seq, left, number, id] = /^([1-9]\d{0,15})\.(\d{1,9})\.([1-9]\d{0,15})\.(.*)$/s.exec(offset) ?? []
  if (id !== undefined) return { seq: Number(seq), left: Number(left), number: Number(number), id }
  throw notAnOffset(offset)
}

/** The last record of a chunk. */
export function lastOf(chunk: Chunk): StoredRecord {
  return chunk.records[chunk.records.length - 1]! // a chunk has at least one
}

/** Whether a chunk holds what comes next, or the record itself and perhaps more; null stands for the beginning. */
export function follows(after: Pick<Place, 'number' | 'id'> | null, chunk: Chunk): boolean {
  const first = chunk.records[0]!.number // a chunk has at least one
  if (after === null) return first === 1
  if (first === after.number + 1) return chunk.before === after.id
  return chunk.records[after.number - first]?.id === after.id
}
