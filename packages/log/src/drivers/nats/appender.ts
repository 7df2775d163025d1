import { AtollError, type Host } from '@atoll/host'
import { JetStreamApiCodes, type ApiError, type PubAck } from '@nats-io/jetstream'
import { headers, type Msg } from '@nats-io/transport-node'
import type { LogRecord } from '../../driver.ts'
import { NobodyAnswers, Refused, toAtollError } from './errors.ts'
import { lastOf, type Chunk } from './format.ts'
import type { NatsLogLimits } from './limits.ts'
import type { Names } from './names.ts'
import { findNew, pack, toChunk, toPayload, type End, type Message } from './packing.ts'
import type { Session } from './session.ts'
import type { Streams } from './streams.ts'

/** What is known of a stream, as long as nobody else writes to these partitions of it. */
interface Known {
  readonly session: Session
  /** A sequence number that the stream has reached; others may write to it meanwhile. */
  seq: number
  readonly ends: Map<number, KnownEnd>
  /** Whether the stream takes several messages as one. */
  readonly isAtomic: boolean
}

/** Where a partition ends: its last record, and the sequence number of the message that holds it; 0 without records. */
interface KnownEnd {
  readonly last: End
  readonly seq: number
}

export interface AppenderParts {
  readonly source: string
  readonly streams: Streams
  readonly names: Names
  readonly host: Host
  readonly limits: NatsLogLimits
  /** The session of the moment. Throws UNAVAILABLE while there is none. */
  readonly session: () => Session
  /** Hears what has been written, and through which session. */
  readonly onWritten: (session: Session, chunks: readonly Chunk[]) => void
}

/**
 * Appends to the stream of one source, one append at a time.
 *
 * It looks where the partitions end, decides what is new, and writes that under a condition: that the last message of
 * each of these partitions is still the one that it was when it looked. The server checks this in the same step as it
 * writes. So whatever another writer of them did meanwhile, a relay that was paused past its lease, or an earlier try
 * of our own whose outcome nobody knows, the condition fails and nothing is written; it looks again and decides anew.
 * Who writes other partitions is in nobody's way.
 *
 * Several messages are written as one batch, all or none. Sent one behind the other, each with a condition of its own,
 * they could follow a stranger's message that took the place of one that was refused, and leave a hole.
 */
export class Appender {
  readonly #source: string
  readonly #streams: Streams
  readonly #names: Names
  readonly #host: Host
  readonly #limits: NatsLogLimits
  readonly #session: () => Session
  readonly #onWritten: (session: Session, chunks: readonly Chunk[]) => void
  #known: Known | undefined
  #turn: Promise<unknown> = Promise.resolve()

  constructor({ source, streams, names, host, limits, session, onWritten }: AppenderParts) {
    this.#source = source
    this.#streams = streams
    this.#names = names
    this.#host = host
    this.#limits = limits
    this.#session = session
    this.#onWritten = onWritten
  }

  append(records: readonly LogRecord[]): Promise<void> {
    const done = this.#turn.then(() => this.#append(records))
    this.#turn = done.catch(() => undefined) // whoever appended hears of it
    return done
  }

  async #append(records: readonly LogRecord[]): Promise<void> {
    try {
      for (let conflicts = 0; conflicts <= this.#limits.conflictsMax; conflicts++) {
        if (await this.#tryToAppend(this.#session(), records, conflicts > 0)) return
      }
      throw new AtollError(
        'UNAVAILABLE',
        `${records.length} records of ${this.#source} could not be appended: other writers came first ${this.#limits.conflictsMax} times in a row`,
      )
    } catch (error) {
      this.#known = undefined // perhaps it was written, perhaps not: look before the next
      throw toAtollError(error, `appending ${records.length} records of ${this.#source}`)
    }
  }

  /** Whether it is done; false if somebody else wrote since we looked. */
  async #tryToAppend(session: Session, records: readonly LogRecord[], isAgain: boolean): Promise<boolean> {
    const isRemembered = this.#known !== undefined
    const known = await this.#look(session, records)
    const ends = new Map([...known.ends].map(([partition, { last }]) => [partition, last]))
    let added: ReadonlyMap<number, readonly LogRecord[]>
    try {
      added = await findNew(this.#source, records, ends, (partition, from, to) =>
        this.#idsOf(session, partition, from, to),
      )
    } catch (error) {
      if (!isRemembered) throw error
      this.#known = undefined // another process may have appended since; only what is looked up now can refuse
      return false
    }
    const messages = pack(this.#source, added, ends, this.#limits, session.payloadBytesMax)
    for (const batch of batches(messages, known.isAtomic ? this.#limits : { batchMessagesMax: 1, batchBytesMax: 0 })) {
      try {
        await this.#write(known, batch)
      } catch (error) {
        // a stream that was deleted is missed here first
        if (!isConflict(error) && !(error instanceof NobodyAnswers && !isAgain)) throw error
        this.#known = undefined
        return false
      }
    }
    return true
  }

  /** Where the stream and the partitions of these records end. */
  async #look(session: Session, records: readonly LogRecord[]): Promise<Known> {
    if (this.#known?.session !== session) {
      const { state, config } = await this.#streams.findOrCreate(session, this.#source)
      this.#known = { session, seq: state.last_seq, ends: new Map(), isAtomic: config.allow_atomic === true }
    }
    const known = this.#known
    const unknown = [...new Set(records.map(({ partition }) => partition))].filter(
      (partition) => !known.ends.has(partition),
    )
    const chunks =
      known.seq === 0
        ? []
        : await Promise.all(unknown.map((partition) => this.#streams.last(session, this.#source, partition)))
    for (const [index, partition] of unknown.entries()) {
      const chunk = chunks[index]
      known.ends.set(partition, chunk ? { last: lastOf(chunk), seq: chunk.seq } : { last: null, seq: 0 })
      known.seq = Math.max(known.seq, chunk?.seq ?? 0)
    }
    return known
  }

  async #write(known: Known, messages: readonly Message[]): Promise<void> {
    const { session } = known
    const batchId = messages.length > 1 ? this.#host.uuid() : undefined
    let answer: Promise<Msg> | undefined
    const begun = new Set<number>()
    for (const [index, message] of messages.entries()) {
      const isLast = index === messages.length - 1
      const head = headers()
      // a batch has the condition with the first message of each partition
      if (!begun.has(message.partition))
        head.set('Nats-Expected-Last-Subject-Sequence', String(known.ends.get(message.partition)!.seq)) // looked up
      begun.add(message.partition)
      if (batchId) {
        head.set('Nats-Batch-Id', batchId)
        head.set('Nats-Batch-Sequence', String(index + 1))
        if (isLast) head.set('Nats-Batch-Commit', '1')
      }
      const subject = this.#names.subject(this.#source, message.partition)
      const payload = toPayload(message, known.seq + index + 1)
      if (isLast) answer = session.request(subject, payload, head)
      else session.publish(subject, payload, head)
    }
    const { seq } = acknowledged(await answer!, this.#names.stream(this.#source)) // there is a last message
    const first = seq - messages.length + 1
    if (first <= known.seq)
      throw new AtollError(
        'UNAVAILABLE',
        `the stream of ${this.#source} says that it ends at ${seq} after ${messages.length} messages behind ${known.seq}; looking again`,
      )
    const chunks = messages.map((message, index) => toChunk(this.#source, message, first + index))
    known.seq = seq
    for (const [index, { partition, records }] of messages.entries())
      known.ends.set(partition, { last: records[records.length - 1]!, seq: first + index }) // a message has a record
    this.#onWritten(session, chunks)
  }

  /**
   * Ids of what is there, from the message that holds `from` on: found by halving, since numbers grow with their place
   * in the stream.
   */
  async #idsOf(session: Session, partition: number, from: number, to: number): Promise<ReadonlyMap<number, string>> {
    const next = (seq: number): Promise<Chunk | undefined> => this.#streams.next(session, this.#source, partition, seq)
    let low = 1
    let high = this.#known?.seq ?? 1
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const chunk = await next(middle)
      if (!chunk || lastOf(chunk).number >= from) high = middle
      else low = chunk.seq + 1
    }
    const ids = new Map<number, string>()
    for (let chunk = await next(low); chunk; chunk = await next(chunk.seq + 1)) {
      for (const { number, id } of chunk.records) ids.set(number, id)
      if (lastOf(chunk).number >= to) break
    }
    return ids
  }
}

/** Cuts messages into what is committed as one. */
function* batches(
  messages: readonly Message[],
  { batchMessagesMax, batchBytesMax }: Pick<NatsLogLimits, 'batchMessagesMax' | 'batchBytesMax'>,
): Generator<readonly Message[]> {
  let batch: Message[] = []
  let bytes = 0
  for (const message of messages) {
    if (batch.length > 0 && (batch.length >= batchMessagesMax || bytes + message.bytes > batchBytesMax)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(message)
    bytes += message.bytes
  }
  if (batch.length > 0) yield batch
}

function acknowledged(answer: Msg, stream: string): PubAck {
  const ack = answer.json<PubAck & { error?: ApiError }>()
  if (ack.error) throw new Refused(ack.error)
  if (ack.stream !== stream)
    throw new AtollError(
      'UNAVAILABLE',
      `the stream '${ack.stream}' took what was meant for '${stream}'; narrow its subjects`,
    )
  return ack
}

/** A partition has grown since we looked. */
function isConflict(error: unknown): boolean {
  return (
    error instanceof Refused &&
    (error.code === JetStreamApiCodes.StreamWrongLastSequence ||
      error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown)
  )
}
