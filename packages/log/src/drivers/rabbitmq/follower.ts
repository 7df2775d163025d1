import { AtollError, type Host } from '@atoll/host'
import type { ConsumeMessage } from 'amqplib'
import type { StoredRecord } from '../../driver.ts'
import { copyOf } from '../shared/copy.ts'
import type { Delivery, StreamChannel } from './consumer.ts'
import { comparePlaces, toPlace, toRecords, type Place } from './format.ts'
import type { KnownNumbers } from './known.ts'
import type { RabbitmqLogLimits } from './limits.ts'

/** A message and its records, one at least. */
interface Batch {
  readonly place: number
  readonly message: ConsumeMessage
  readonly records: readonly StoredRecord[]
  readonly chars: number
  isAcknowledged: boolean
}

/** How long a read waits for a record of which another log has told, milliseconds: it is on its way. */
const heardMs = 250

export interface FollowerParts {
  readonly channel: StreamChannel
  readonly source: string
  readonly partition: number
  readonly known: KnownNumbers
  readonly host: Host
  readonly limits: RabbitmqLogLimits
}

/**
 * Follows a stream from one place on. RabbitMQ sends ahead as many messages as it is allowed to, and more when these
 * have been read. What has been read stays for a while: those who read along get it from memory.
 */
export class Follower {
  readonly #channel: StreamChannel
  readonly #source: string
  readonly #partition: number
  readonly #known: KnownNumbers
  readonly #host: Host
  readonly #limits: RabbitmqLogLimits
  /** What comes after it, is or will be here. */
  #from: Place | null
  #batches: Batch[] = []
  /** How far somebody has read, or stood when it began. */
  #passed: Place | null = null
  /** The last mark after all of these. */
  #mark: ConsumeMessage | undefined
  /** What it began with was as it must be. */
  #hasBegun = false
  #chars = 0
  /** The place of the last message that came. */
  #reached = -1
  /** The largest number that came. */
  #number = 0
  /** Where the stream ended when this began: until then, an empty hand means that RabbitMQ has not sent it yet. */
  readonly #end: number
  /** Something that cannot be read comes after all that is here. */
  #trouble: AtollError | undefined
  /** Up to which number others have told of records that RabbitMQ has not sent, and since when. */
  #awaited: { readonly number: number; readonly since: number } | undefined
  #readAt: number
  #readers = 0

  private constructor(
    { channel, source, partition, known, host, limits }: FollowerParts,
    from: Place | null,
    end: number,
  ) {
    this.#channel = channel
    this.#source = source
    this.#partition = partition
    this.#from = from
    this.#end = end
    this.#known = known
    this.#host = host
    this.#limits = limits
    this.#readAt = host.monotonicMs()
    if (from) this.#number = from.number
  }

  /**
   * `end` is the place of the last message, -1 without any. Rejects with LOG_GAP if the stream ends before the place to
   * begin after.
   */
  static async attach(parts: FollowerParts, from: Place | null, end: number): Promise<Follower> {
    const { channel, source, partition } = parts
    if (from && from.message > end)
      throw gap(
        source,
        partition,
        `ends before message ${from.message}, up to which it has been read (number ${from.number})`,
      )
    const follower = new Follower(parts, from, end)
    await channel.consume(from ? from.message : 'first', (delivery) => follower.#take(delivery))
    return follower
  }

  get isLost(): boolean {
    return this.#channel.lost !== undefined
  }

  /** For how long nobody has read here, milliseconds; 0 while somebody does. */
  get idleMs(): number {
    return this.#readers > 0 ? 0 : this.#host.monotonicMs() - this.#readAt
  }

  /** Whether what comes after a place can be had here. */
  covers(after: Place | null): boolean {
    if (this.isLost || comparePlaces(after, this.#from) < 0) return false
    if (comparePlaces(after, this.#from) === 0) return after?.number === this.#from?.number
    return this.#indexOf(after!) !== undefined // it comes after #from, so it is no beginning
  }

  /**
   * Records after a place that is covered. Empty only if RabbitMQ has just said that it is there, and nothing more has
   * come. Undefined if others have read on meanwhile, and so far that the place is not covered any more.
   */
  async read(after: Place | null, limit: number): Promise<StoredRecord[] | undefined> {
    this.#readers++
    try {
      return await this.#read(after, limit)
    } finally {
      this.#readers--
      this.#readAt = this.#host.monotonicMs()
    }
  }

  close(): void {
    this.#channel.close()
  }

  async #read(after: Place | null, limit: number): Promise<StoredRecord[] | undefined> {
    const { callMs } = this.#limits
    const { stream } = this.#channel
    const isThere = (): boolean => this.#trouble !== undefined || this.#has(after)
    this.#pass(after) // what it stands at, and marks behind that, must not take the room of what it waits for
    if (!isThere() && (this.#reached < this.#end || this.#number < this.#known.own(stream))) {
      const isMissed = !(await this.#channel.arrival(
        () => isThere() || (this.#reached >= this.#end && this.#number >= this.#known.own(stream)),
        callMs,
      ))
      if (isMissed) {
        this.#channel.lose(new Error(`RabbitMQ has not sent what is in it within ${callMs} ms (callMs)`))
        throw this.#channel.lost! // just said
      }
    }
    if (!isThere()) {
      if (!(await this.#channel.look())) this.#channel.lose(new Error('the stream is not there any more'))
      if (this.#channel.lost) throw this.#channel.lost
    }
    if (!isThere() && this.#number < this.#known.heard(stream) && !(await this.#channel.arrival(isThere, heardMs)))
      this.#assertSends()
    if (comparePlaces(after, this.#from) < 0) return undefined
    const records = this.#collect(after, limit)
    if (records.length === 0 && this.#trouble) throw this.#trouble
    return records
  }

  /** Others wrote what is not here: a stream whose leader has changed may leave its readers behind without a word. */
  #assertSends(): void {
    const { callMs } = this.#limits
    const now = this.#host.monotonicMs()
    if (!this.#awaited || this.#number >= this.#awaited.number)
      this.#awaited = { number: this.#known.heard(this.#channel.stream), since: now }
    if (now - this.#awaited.since < callMs) return
    this.#channel.lose(new Error(`RabbitMQ has not sent what others wrote within ${callMs} ms (callMs)`))
    throw this.#channel.lost! // just said
  }

  #has(after: Place | null): boolean {
    const last = this.#batches.at(-1)
    return (
      last !== undefined &&
      (after === null ||
        last.place > after.message ||
        (last.place === after.message && last.records.length > after.index + 1))
    )
  }

  /** What comes after a place, and makes room for what comes after that. */
  #collect(after: Place | null, limit: number): StoredRecord[] {
    const { readBytesMax } = this.#limits
    const found: StoredRecord[] = []
    let chars = 0
    let at = after === null ? 0 : this.#firstAfter(after)
    for (; at < this.#batches.length && found.length < limit && chars < readBytesMax; at++) {
      const { place, records } = this.#batches[at]!
      for (let index = after?.message === place ? after.index + 1 : 0; index < records.length; index++) {
        if (found.length >= limit || chars >= readBytesMax) break
        const record = records[index]!
        found.push(copyOf(record))
        chars += record.data.length
      }
    }
    const last = found.at(-1)
    this.#pass(last ? toPlace(last.offset) : after)
    return found
  }

  /** The first batch that may have something after a place. Readers are mostly near the end. */
  #firstAfter({ message }: Place): number {
    let at = this.#batches.length
    while (at > 0 && this.#batches[at - 1]!.place >= message) at--
    return at
  }

  /** Somebody has read up to here: RabbitMQ may send more, and what is older makes room. */
  #pass(place: Place | null): void {
    if (place === null) return
    if (comparePlaces(place, this.#passed) > 0) this.#passed = place
    const isPassed = ({ place: message, records }: Batch): boolean =>
      message < place.message || (message === place.message && place.index >= records.length - 1)
    const last = this.#batches.findLast((batch) => isPassed(batch))
    if (last && !last.isAcknowledged) {
      this.#channel.ack(last.message)
      for (let at = this.#batches.lastIndexOf(last); at >= 0 && !this.#batches[at]!.isAcknowledged; at--)
        this.#batches[at]!.isAcknowledged = true
      this.#passMark()
    }
    let dropped = 0
    while (this.#chars > this.#limits.recentBytesMax && this.#batches[dropped]?.isAcknowledged)
      this.#chars -= this.#batches[dropped++]!.chars
    if (dropped === 0) return
    const { records } = this.#batches[dropped - 1]!
    this.#from = toPlace(records.at(-1)!.offset) // a message has one record at least
    this.#batches.splice(0, dropped)
  }

  /** Where the record of a place is among the batches; undefined if it is not. */
  #indexOf(place: Place): number | undefined {
    const at = this.#firstAfter(place)
    const batch = this.#batches[at]
    return batch?.place === place.message && batch.records[place.index]?.number === place.number ? at : undefined
  }

  #take({ place, message }: Delivery): void {
    if (this.#trouble || place <= this.#reached) return
    try {
      const records = toRecords(this.#source, this.#partition, place, message.content)
      if (!this.#hasBegun) this.#assertFollows(place, records)
      this.#reached = place
      this.#mark = records.length === 0 ? message : undefined
      if (this.#mark) return this.#passMark()
      const chars = message.content.length
      this.#batches.push({ place, message, records, chars, isAcknowledged: false })
      this.#chars += chars
      for (const { number } of records) if (number > this.#number) this.#number = number
      this.#pass(this.#passed) // what somebody stands at may come after it was asked for what follows
    } catch (error) {
      this.#trouble = AtollError.from(error)
    }
  }

  /** A mark makes room as soon as all before it has been read: there may be more of them than RabbitMQ sends ahead. */
  #passMark(): void {
    if (!this.#mark || this.#batches.at(-1)?.isAcknowledged === false) return
    this.#channel.ack(this.#mark)
    this.#mark = undefined
  }

  /**
   * The first message is the one of the place that was asked for; or the next one, if all before it has been deleted,
   * but nothing more.
   */
  #assertFollows(place: number, records: readonly StoredRecord[]): void {
    const from = this.#from
    const first = records[0]?.number
    this.#hasBegun = from === null || place === from.message || first !== undefined
    if (from === null) {
      if (place > 0)
        throw gap(
          this.#source,
          this.#partition,
          `begins with message ${place}${first === undefined ? '' : ` (number ${first})`}: what came before has been deleted`,
        )
    } else if (place > from.message) {
      if (first !== undefined && first > from.number + 1)
        throw gap(this.#source, this.#partition, `goes on with number ${first}, and has been read up to ${from.number}`)
    } else if (records[from.index]?.number !== from.number) {
      throw gap(
        this.#source,
        this.#partition,
        `has other records in message ${place} than those that have been read there`,
      )
    }
  }
}

export function gap(source: string, partition: number, what: string): AtollError {
  return new AtollError(
    'LOG_GAP',
    `the stream of partition ${partition} of ${source} ${what}: records are lost. Restore it`,
    { details: { source, partition } },
  )
}
