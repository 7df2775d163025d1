import { AtollError, type Host, type Timer } from '@atoll/host'
import type { Offset, StoredRecord, Tail } from '../../driver.ts'
import type { ReadingConnection } from './client.ts'
import { StreamChannel } from './consumer.ts'
import { Follower, gap } from './follower.ts'
import { toPlace, toRecords, type Place } from './format.ts'
import type { KnownNumbers } from './known.ts'
import type { RabbitmqLogLimits } from './limits.ts'
import { streamName } from './names.ts'

export interface ReaderParts {
  readonly system: string
  readonly connection: ReadingConnection
  readonly known: KnownNumbers
  /** Tells when a stream, which this log is making, has been made. */
  readonly making: (stream: string) => Promise<void> | undefined
  /** Answers the id of a message that comes after all that was confirmed. */
  readonly writeMark: (stream: string) => Promise<string | undefined>
  readonly host: Host
  readonly limits: RabbitmqLogLimits
}

/** Reads streams. Whoever reads on from where a read ended is served by the follower that brought it there. */
export class Reader {
  readonly #system: string
  readonly #connection: ReadingConnection
  readonly #known: KnownNumbers
  readonly #making: (stream: string) => Promise<void> | undefined
  readonly #writeMark: (stream: string) => Promise<string | undefined>
  readonly #host: Host
  readonly #limits: RabbitmqLogLimits
  readonly #followers = new Map<string, Follower[]>()
  /** Followers on their way, by stream and place. */
  readonly #attaching = new Map<string, Promise<Follower | undefined>>()
  /**
   * Streams that were not there, and until when that is believed. RabbitMQ logs an error each time that it is asked for
   * one.
   */
  readonly #missing = new Map<string, number>()
  /** Streams that are there and of which nothing came, and since when. */
  readonly #silentSince = new Map<string, number>()
  /** Streams in which this connection has seen a mark of its own, or will. */
  readonly #marked = new Set<string>()
  /** Every stream that this log has found. */
  readonly #found = new Set<string>()
  #sweepTimer: Timer | undefined
  #closed = false

  constructor({ system, connection, known, making, writeMark, host, limits }: ReaderParts) {
    this.#system = system
    this.#connection = connection
    this.#known = known
    this.#making = making
    this.#writeMark = writeMark
    this.#host = host
    this.#limits = limits
    this.#armSweep()
  }

  /** The names of streams that have been read. */
  get streams(): readonly string[] {
    return [...this.#found]
  }

  /** There is something in a stream. */
  appeared(stream: string): void {
    this.#missing.delete(stream)
  }

  /** On a new connection everything is looked at again: meanwhile nobody could tell us of anything. */
  reconnected(): void {
    this.#missing.clear()
    this.#silentSince.clear()
    this.#marked.clear()
  }

  async read(source: string, partition: number, after: Offset | null, limit: number): Promise<StoredRecord[]> {
    const place = after === null ? null : toPlace(after)
    const stream = streamName(this.#system, source, partition)
    if (place === null && (await this.#isMissing(stream))) return []
    for (let isLast = false; ;) {
      const follower = this.#find(stream, place) ?? (await this.#attach(stream, source, partition, place))
      if (!follower) {
        this.#known.forget(stream)
        if (place) throw gap(source, partition, `is not there, and has been read up to number ${place.number}`)
        return []
      }
      try {
        const records = await follower.read(place, limit)
        if (records) return records
      } catch (error) {
        // one that was interrupted may have had its reasons: deleted, moved to another node
        if (isLast || !follower.isLost || !this.#connection.isConnected) throw error
        isLast = true
      }
    }
  }

  /**
   * The largest number near the end of a stream: an old relay may have appended there what was in it already. It is not
   * less than what was confirmed to anybody before this log was connected, to this log, and to others who have told of
   * it.
   */
  async tail(source: string, partition: number): Promise<Tail | null> {
    const stream = streamName(this.#system, source, partition)
    if (await this.#isMissing(stream)) return null
    const { callMs } = this.#limits
    const until = this.#host.monotonicMs() + callMs
    for (let isLast = false; ;) {
      const tail = await this.#lookPastMark(stream, source, partition)
      if (!tail) this.#known.forget(stream)
      const number = tail?.number ?? 0
      const own = this.#known.own(stream)
      // A replica may lag behind what the leader of the stream confirmed.
      if (number >= own && number >= this.#known.heard(stream)) return tail
      if (this.#host.monotonicMs() > until) {
        if (number < own)
          throw new AtollError(
            'UNAVAILABLE',
            `${this.#connection.engine} has confirmed record ${own} of ${stream}, and does not show it within ${callMs} ms (callMs)`,
          )
        if (isLast) return tail // who told of more, told of a stream that has gone since
        this.#marked.delete(stream)
        isLast = true
      } else await this.#pause()
    }
  }

  close(): void {
    this.#closed = true
    this.#sweepTimer?.cancel()
    for (const follower of [...this.#followers.values()].flat()) follower.close()
    this.#followers.clear()
  }

  async #isMissing(stream: string): Promise<boolean> {
    const until = this.#missing.get(stream)
    if (until === undefined) return false
    if (this.#host.monotonicMs() < until) {
      // an answer is only good while RabbitMQ is there
      await this.#connection.call(({ channel }) => channel.checkExchange('amq.direct'))
      return this.#missing.has(stream)
    }
    this.#missing.delete(stream)
    return false
  }

  #find(stream: string, place: Place | null): Follower | undefined {
    const followers = this.#followers.get(stream)
    if (!followers) return undefined
    const alive = followers.filter((follower) => !follower.isLost)
    if (alive.length < followers.length) this.#followers.set(stream, alive)
    return alive.find((follower) => follower.covers(place))
  }

  /** One attachment for all who ask for the same place. */
  #attach(stream: string, source: string, partition: number, place: Place | null): Promise<Follower | undefined> {
    const key = `${stream} ${place ? `${place.message}.${place.index}.${place.number}` : ''}`
    let attaching = this.#attaching.get(key)
    if (!attaching) {
      attaching = this.#attachNow(stream, source, partition, place).finally(() => this.#attaching.delete(key))
      this.#attaching.set(key, attaching)
    }
    return attaching
  }

  /** Undefined if there is no such stream. */
  async #attachNow(
    stream: string,
    source: string,
    partition: number,
    place: Place | null,
  ): Promise<Follower | undefined> {
    this.#makeRoom()
    const end = await this.#endFor(stream, place)
    if (end === undefined) return undefined
    const channel = await this.#open(stream, this.#limits.readAheadMessages)
    try {
      const parts = { channel, source, partition, known: this.#known, host: this.#host, limits: this.#limits }
      const follower = await Follower.attach(parts, place, end)
      if (this.#closed) follower.close()
      else this.#followers.set(stream, [...(this.#followers.get(stream) ?? []), follower])
      return follower
    } catch (error) {
      channel.close()
      throw error
    }
  }

  #open(stream: string, prefetch: number): Promise<StreamChannel> {
    return StreamChannel.open(stream, this.#connection, prefetch, this.#host)
  }

  /** As {@link #endOf}, once it is not before a place: a replica may lag behind the one where that was read. */
  async #endFor(stream: string, place: Place | null): Promise<number | undefined> {
    const until = this.#host.monotonicMs() + this.#limits.callMs
    for (;;) {
      const end = await this.#endOf(stream)
      if (end === undefined || place === null || end >= place.message) return end
      if (this.#host.monotonicMs() > until) return this.#sureEnd(stream, end)
      await this.#pause()
    }
  }

  /** The place of a message that lies behind all that was confirmed before, on whatever replica. */
  async #sureEnd(stream: string, end: number): Promise<number> {
    const { tailMessages, callMs } = this.#limits
    const mark = await this.#writeMark(stream)
    const channel = await this.#open(stream, tailMessages)
    try {
      let found: number | undefined
      await channel.consume(Math.max(0, end), ({ place, message }) => {
        channel.ack(message)
        if (message.properties.messageId === mark) found = place
      })
      if (mark !== undefined && (await channel.arrival(() => found !== undefined, callMs))) return found!
      throw new AtollError(
        'UNAVAILABLE',
        `${this.#connection.engine} has not shown within ${callMs} ms (callMs) what was read of ${stream} before: the replica there may be far behind`,
      )
    } finally {
      channel.close()
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#host.after(lagMs, resolve))
  }

  /**
   * The place of the last message; -1 for a stream without any, undefined if there is no stream. That a stream is empty
   * shows only in that nothing comes, and in RabbitMQ's count, which is seconds old; so it is believed when it has been
   * so for a while, and until then nobody is told anything.
   */
  async #endOf(stream: string): Promise<number | undefined> {
    const { missingMs, callMs, emptyMs } = this.#limits
    const startedAt = this.#host.monotonicMs()
    // Who begins to read an empty stream as its first message comes may not be sent it until there is another: so it
    // begins again and again.
    for (let waitMs = firstWaitMs; ; waitMs *= 2) {
      const end = await this.#endNow(stream, Math.min(waitMs, callMs))
      if (end?.last !== undefined) {
        this.#silentSince.delete(stream)
        return end.last
      }
      if (!end) {
        this.#silentSince.delete(stream)
        this.#missing.set(stream, startedAt + missingMs)
        return undefined
      }
      const silentSince = this.#silentSince.get(stream) ?? startedAt
      this.#silentSince.set(stream, silentSince)
      if (end.count === 0 && startedAt - silentSince > emptyMs) return -1
      if (this.#host.monotonicMs() - startedAt < callMs) continue
      throw new AtollError(
        'UNAVAILABLE',
        `${this.#connection.engine} has stream ${stream}, and has sent nothing of it within ${callMs} ms (callMs): ${end.count === 0 ? 'it may be empty, which will show soon' : `it counts ${end.count} messages`}`,
      )
    }
  }

  /** What of the end of a stream shows within a time; undefined if there is no stream. */
  async #endNow(stream: string, waitMs: number): Promise<{ last: number | undefined; count: number } | undefined> {
    const channel = await this.#open(stream, this.#limits.tailMessages)
    try {
      if (!(await channel.look())) return undefined
      this.#found.add(stream)
      await this.#making(stream) // RabbitMQ shows a stream before it can be read, and ends the connection of who tries
      return await channel.end(waitMs)
    } finally {
      channel.close()
    }
  }

  /**
   * The first look on a connection goes as far as a mark: another connection may have led to a replica that was ahead
   * of this one.
   */
  async #lookPastMark(stream: string, source: string, partition: number): Promise<Tail | null> {
    if (this.#marked.has(stream)) return this.#look(stream, source, partition)
    await this.#making(stream)
    const mark = await this.#writeMark(stream)
    const tail = await this.#look(stream, source, partition, mark)
    if (mark !== undefined) this.#marked.add(stream)
    return tail
  }

  /** The largest number among the last messages, as far as a mark if there is one. */
  async #look(stream: string, source: string, partition: number, mark?: string): Promise<Tail | null> {
    const end = await this.#endOf(stream)
    if (end === undefined || end < 0) return null
    // Only marks there: look further back, in growing steps.
    for (let count = this.#limits.tailMessages; ; count *= 8) {
      const from = Math.max(0, end - count + 1)
      const tail = await this.#lookFrom(from, end, stream, source, partition, mark)
      if (tail || from === 0) return tail
    }
  }

  async #lookFrom(
    from: number,
    end: number,
    stream: string,
    source: string,
    partition: number,
    mark: string | undefined,
  ): Promise<Tail | null> {
    const { tailMessages, callMs } = this.#limits
    const channel = await this.#open(stream, tailMessages)
    try {
      let reached = -1
      let isMarkSeen = mark === undefined
      let tail: Tail | null = null
      let trouble: unknown
      await channel.consume(from, ({ place, message }) => {
        reached = place
        channel.ack(message)
        if (message.properties.messageId === mark) isMarkSeen = true
        try {
          for (const { number, offset, id } of toRecords(source, partition, place, message.content))
            if (number > (tail?.number ?? 0)) tail = { number, offset, id }
        } catch (error) {
          trouble = error
        }
      })
      if (!(await channel.arrival(() => reached >= end && isMarkSeen, callMs))) {
        throw new AtollError(
          'UNAVAILABLE',
          `${this.#connection.engine} has not sent the end of ${stream} within ${callMs} ms (callMs): the replica there may be far behind`,
        )
      }
      if (trouble) throw trouble
      return tail
    } finally {
      channel.close()
    }
  }

  /** Of those that nobody reads at, the ones that have waited for longest make room for a new one. */
  #makeRoom(): void {
    const { followersMax } = this.#limits
    const all = [...this.#followers.values()].flat()
    const free = all.filter(({ idleMs }) => idleMs > 0).sort((a, b) => b.idleMs - a.idleMs)
    for (const follower of free.slice(0, Math.max(0, all.length + this.#attaching.size + 1 - followersMax)))
      follower.close()
  }

  #armSweep(): void {
    const { followerIdleMs } = this.#limits
    this.#sweepTimer = this.#host.after(followerIdleMs / 2, () => {
      if (this.#closed) return
      for (const [stream, followers] of this.#followers) {
        for (const follower of followers) if (follower.idleMs > followerIdleMs) follower.close()
        const alive = followers.filter(({ isLost }) => !isLost)
        if (alive.length > 0) this.#followers.set(stream, alive)
        else this.#followers.delete(stream)
      }
      this.#armSweep()
    })
  }
}

/** Between two looks whether a replica has caught up, milliseconds. */
const lagMs = 50
/** How long RabbitMQ has at first to send the end of a stream, milliseconds. */
const firstWaitMs = 300
