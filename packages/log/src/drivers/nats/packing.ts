import { AtollError } from '@atoll/host'
import type { LogRecord } from '../../driver.ts'
import { encodeHead, encodeRecord, toOffset, type Chunk } from './format.ts'
import type { NatsLogLimits } from './limits.ts'

/** The last record of a partition; null without records. */
export type End = Pick<LogRecord, 'number' | 'id'> | null

/** A message to be written. */
export interface Message {
  readonly partition: number
  /** The id of the event before its first one. */
  readonly before: string
  readonly records: LogRecord[]
  /** The records as they will stand in it. */
  readonly lines: string[]
  bytes: number
}

/**
 * The records of an append that are not there yet, by partition. Refuses with LOG_GAP what would leave a hole and with
 * LOG_DIVERGED what is there as another event. `idsOf` tells the ids of a range of numbers that are there; those that
 * it does not know any more have expired, and are taken for the same.
 */
export async function findNew(
  source: string,
  records: readonly LogRecord[],
  ends: ReadonlyMap<number, End>,
  idsOf: (partition: number, from: number, to: number) => Promise<ReadonlyMap<number, string>>,
): Promise<ReadonlyMap<number, readonly LogRecord[]>> {
  const added = new Map<number, LogRecord[]>()
  const doubtful = new Map<number, LogRecord[]>()
  for (const record of records) {
    const { partition, number } = record
    const end = ends.get(partition) ?? null
    const last = end?.number ?? 0
    const news = entry(added, partition)
    if (number === last + news.length + 1) news.push(record)
    else if (!(number >= 1 && number <= last + news.length)) throw gap(source, record, last + news.length + 1)
    else if (number > last) assertSame(source, record, news[number - last - 1]!.id)
    else if (number === last) assertSame(source, record, end!.id) // numbered as the end is, so there is one
    else entry(doubtful, partition).push(record)
  }
  for (const [partition, repeats] of doubtful) {
    const numbers = repeats.map(({ number }) => number)
    const ids = await idsOf(partition, Math.min(...numbers), Math.max(...numbers))
    for (const record of repeats) assertSame(source, record, ids.get(record.number) ?? record.id)
  }
  return added
}

/** Puts records into messages, in order. Refuses with BODY_TOO_LARGE a record that no message can carry. */
export function pack(
  source: string,
  added: ReadonlyMap<number, readonly LogRecord[]>,
  ends: ReadonlyMap<number, End>,
  limits: NatsLogLimits,
  payloadBytesMax: number,
): Message[] {
  const messages: Message[] = []
  for (const [partition, records] of added) {
    let before = ends.get(partition)?.id ?? ''
    let message: Message | undefined
    for (const record of records) {
      const line = encodeRecord(record)
      const bytes = Buffer.byteLength(line)
      if (bytes + besidesBytes(before) > payloadBytesMax) throw tooLarge(source, record, bytes, payloadBytesMax)
      if (
        !message ||
        message.records.length >= limits.messageRecordsMax ||
        message.bytes + bytes > Math.min(limits.messageBytesMax, payloadBytesMax)
      ) {
        message = { partition, before, records: [], lines: [], bytes: besidesBytes(before) }
        messages.push(message)
      }
      message.records.push(record)
      message.lines.push(line)
      message.bytes += bytes
      before = record.id
    }
  }
  return messages
}

/** What goes over the wire. */
export function toPayload({ records, before, lines }: Message, seq: number): Uint8Array {
  // a message has a record
  return Buffer.from(encodeHead(seq, records[0]!.number, records.length, before) + lines.join(''))
}

/** A message as it will be read back. */
export function toChunk(source: string, { records, before, bytes }: Message, seq: number): Chunk {
  const stored = records.map((record, index) => {
    const { partition, number, order, id, type, version, key, at, data, trace, cause } = record
    const offset = toOffset({ seq, left: records.length - index - 1, number, id })
    return { source, partition, number, offset, order, id, type, version, key, at, data, trace, cause }
  })
  return { seq, before, records: stored, bytes }
}

/** The head of a message and its headers, roughly. */
function besidesBytes(before: string): number {
  return 400 + 2 * Buffer.byteLength(before)
}

function entry(byPartition: Map<number, LogRecord[]>, partition: number): LogRecord[] {
  let records = byPartition.get(partition)
  if (!records) byPartition.set(partition, (records = []))
  return records
}

function assertSame(source: string, { partition, number, id }: LogRecord, there: string): void {
  if (id === there) return
  throw new AtollError(
    'LOG_DIVERGED',
    `record ${number} in partition ${partition} of ${source} is event ${there}, and event ${id} was to be appended under that number: log and store are from different histories`,
    { details: { source, partition, number } },
  )
}

function gap(source: string, { partition, number }: LogRecord, expected: number): AtollError {
  return new AtollError(
    'LOG_GAP',
    `record ${number} cannot be appended to partition ${partition} of ${source}: the next number is ${expected}`,
    {
      details: { source, partition, number, expected },
    },
  )
}

function tooLarge(source: string, { type, id }: LogRecord, bytes: number, bytesMax: number): AtollError {
  return new AtollError(
    'BODY_TOO_LARGE',
    `${type} ${id} of ${source} takes ${bytes} bytes with all its fields, and a message of the server may have ${bytesMax}; raise max_payload there, or lower dataBytesMax`,
    {
      details: { source, type, bytes, bytesMax },
    },
  )
}
