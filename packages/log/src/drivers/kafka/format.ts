import { AtollError } from '@atoll/host'
import type { MessageRecord, RecordsBatch } from '@platformatic/kafka'
import type { LogRecord, Offset, StoredRecord } from '../../driver.ts'
import { notAnOffset } from '../shared/checks.ts'
import { besidesBytesMax } from './limits.ts'

// How a record lies in Kafka: the key is the event's key, the value its data, the timestamp the time of its emission,
// and the rest are headers, so that it can be read with Kafka's own tools.

const headerKeys = {
  number: Buffer.from('number'),
  order: Buffer.from('order'),
  id: Buffer.from('id'),
  type: Buffer.from('type'),
  version: Buffer.from('version'),
  trace: Buffer.from('trace'),
  cause: Buffer.from('cause'),
}
const claimKey = Buffer.from('claim')

/** A record on its way, and about how many bytes it will take in its batch. */
export interface Parcel {
  readonly record: LogRecord
  readonly message: MessageRecord
  readonly bytes: number
}

export function toParcel(topic: string, source: string, record: LogRecord): Parcel {
  const value = Buffer.from(record.data)
  const key = Buffer.from(record.key)
  const headers = new Map([
    [headerKeys.number, Buffer.from(String(record.number))],
    [headerKeys.order, Buffer.from(record.order)],
    [headerKeys.id, Buffer.from(record.id)],
    [headerKeys.type, Buffer.from(record.type)],
    [headerKeys.version, Buffer.from(String(record.version))],
    [headerKeys.trace, Buffer.from(record.trace)],
    [headerKeys.cause, Buffer.from(record.cause)],
  ])
  let besides = framesBytes + key.length
  for (const text of headers.values()) besides += text.length
  if (besides > besidesBytesMax) {
    throw new AtollError(
      'BODY_TOO_LARGE',
      `${record.type} ${record.id} of ${source} takes ${besides} bytes besides its data (key, id, cause, trace), and the log takes ${besidesBytesMax}; use a shorter key`,
    )
  }
  const message = { topic, partition: record.partition, key, value, headers, timestamp: BigInt(record.at) }
  return { record, message, bytes: besides + value.length }
}

/** A record that is none: it makes known who may write from here on. Readers pass over it. */
export function claimMessage(topic: string, partition: number, who: string, at: number): MessageRecord {
  return {
    topic,
    partition,
    value: Buffer.alloc(0),
    headers: new Map([[claimKey, Buffer.from(who)]]),
    timestamp: BigInt(at),
  }
}

/** The names of the headers, all lengths, and the places within the batch: more than they ever take. */
const framesBytes = 160

const IS_CONTROL = 0b10_0000
const IS_LOG_APPEND_TIME = 0b1000

/** What a fetch brought: batches from `from` on, up to `next`, of which `records` are ours. */
export interface Chunk {
  readonly from: number
  readonly next: number
  readonly records: readonly StoredRecord[]
  readonly places: readonly number[]
  /** Epoch of the leader that took the last batch. */
  readonly epoch: number
  /** Of the last batch, -1 if there is none or it has none: who wrote it. */
  readonly producerId: bigint
  readonly producerEpoch: number
  /** About how many bytes it takes in memory. */
  readonly bytes: number
  /** There were records in it that are not ours, and no claims either. */
  readonly hasForeign: boolean
}

/** Decodes what is at `from` and after it. A batch comes whole, so the first one may begin before. */
export function toChunk(
  source: string,
  partition: number,
  topicId: string,
  from: number,
  batches: readonly RecordsBatch[],
): Chunk {
  const records: StoredRecord[] = []
  const places: number[] = []
  const suffix = `.${shortId(topicId)}`
  let next = from
  let bytes = 0
  let hasForeign = false
  for (const batch of batches) {
    const base = Number(batch.firstOffset)
    next = Math.max(next, base + batch.lastOffsetDelta + 1)
    if ((batch.attributes & IS_CONTROL) !== 0) continue
    const mark = `.${batch.partitionLeaderEpoch}${suffix}`
    for (const found of batch.records) {
      const place = base + found.offsetDelta
      if (place < from) continue
      const at = Number(
        (batch.attributes & IS_LOG_APPEND_TIME) !== 0
          ? batch.maxTimestamp
          : batch.firstTimestamp + found.timestampDelta,
      )
      const record = toRecord(source, partition, `${place}${mark}`, at, found)
      if (record) {
        records.push(record)
        places.push(place)
        bytes += record.data.length + bytesBesidesData
      } else if (!isClaim(found)) hasForeign = true
    }
  }
  const last = batches.at(-1)
  return {
    from,
    next,
    records,
    places,
    epoch: last?.partitionLeaderEpoch ?? -1,
    producerId: last?.producerId ?? -1n,
    producerEpoch: last?.producerEpoch ?? -1,
    bytes: bytes + bytesBesidesData,
    hasForeign,
  }
}

type Found = RecordsBatch['records'][number]

/** Ids, key, trace and the object around them: what a record takes in memory besides its data, about. */
const bytesBesidesData = 700

function toRecord(
  source: string,
  partition: number,
  offset: Offset,
  at: number,
  { key, value, headers }: Found,
): StoredRecord | undefined {
  // Written by toParcel, in this order; of anything else nothing is known.
  if (headers.length !== 7 || value === null) return undefined
  const [number, order, id, type, version, trace, cause] = headers
  if (!number?.[0]?.equals(headerKeys.number) || !cause?.[0]?.equals(headerKeys.cause)) return undefined
  return {
    source,
    partition,
    number: Number(number[1]),
    offset,
    order: textOf(order),
    id: textOf(id),
    type: textOf(type),
    version: Number(version?.[1]),
    key: key?.toString() ?? '',
    at,
    data: value.toString(),
    trace: textOf(trace),
    cause: textOf(cause),
  }
}

function textOf(header: Found['headers'][number] | undefined): string {
  return header?.[1]?.toString() ?? ''
}

function isClaim({ headers }: Found): boolean {
  return headers.length === 1 && headers[0]?.[0]?.equals(claimKey) === true
}

/**
 * Where a record is: its offset in Kafka, the epoch of the leader that took it, and the topic, which has another id
 * when it is made anew.
 */
export interface Place {
  readonly offset: number
  readonly epoch: number
  /** As {@link shortId} gives it. */
  readonly topic: string
}

export function placeOf(offset: Offset): Place {
  const match = offsetPattern.exec(offset)
  const place = match && { offset: Number(match[1]), epoch: Number(match[2]), topic: match[3]! }
  if (place && Number.isSafeInteger(place.offset)) return place
  throw notAnOffset(offset)
}

const offsetPattern = /^(\d{1,16})\.(\d{1,10})\.([\w-]{22})$/

/** The id of a topic in 22 characters. */
export function shortId(topicId: string): string {
  return Buffer.from(topicId.replaceAll('-', ''), 'hex').toString('base64url')
}
