import { AtollError, type Logger } from '@atoll/host'
import { ProtocolError } from '@platformatic/kafka'
import type { Offset, StoredRecord, Tail } from '../../driver.ts'
import { copyOf } from '../shared/copy.ts'
import { ReadAhead } from './ahead.ts'
import type { Call } from './call.ts'
import type { Mark } from './claims.ts'
import type { Cluster, Topic } from './cluster.ts'
import { kafkaCodeOf } from './errors.ts'
import { fetchFrom, listOffsets, type Fetched, type FetchFrom } from './fetch.ts'
import type { KafkaLogLimits } from './limits.ts'
import { placeOf, shortId } from './format.ts'
import type { Topics } from './topics.ts'

/** Where a partition ends. */
export interface End {
  /** Behind the last durable record, ours or not. */
  readonly end: number
  /** The last record that is ours. */
  readonly last: StoredRecord | undefined
  /** Who wrote the last batch; -1 if it does not say, or there is none. */
  readonly producerId: bigint
  readonly producerEpoch: number
}

/** Reads partitions by offset. */
export class Reader {
  readonly #cluster: Cluster
  readonly #topics: Topics
  readonly #logger: Logger
  readonly #limits: KafkaLogLimits
  readonly #ahead: ReadAhead
  readonly #foreign = new Set<string>()

  constructor(cluster: Cluster, topics: Topics, logger: Logger, limits: KafkaLogLimits) {
    this.#cluster = cluster
    this.#topics = topics
    this.#logger = logger
    this.#limits = limits
    this.#ahead = new ReadAhead(limits.recentBytesMax)
  }

  async read(
    call: Call,
    name: string,
    source: string,
    partition: number,
    after: Offset | null,
    limit: number,
  ): Promise<StoredRecord[]> {
    const place = after === null ? undefined : placeOf(after)
    return this.#topics.use(call, name, async (known) => {
      const topic = place && known && shortId(known.id) !== place.topic ? await this.#again(name) : known
      if (place && !topic) await this.#topics.assertNone(name)
      if (place && (!topic || shortId(topic.id) !== place.topic))
        throw lost(name, partition, `topic ${name} was deleted${topic ? ' and made anew' : ''}`)
      if (!topic || !isOf(topic, partition)) return []
      return this.#readOn(
        topic,
        source,
        partition,
        place ? { offset: place.offset + 1, epoch: place.epoch } : { offset: 0, epoch: -1 },
        limit,
      )
    })
  }

  async tail(call: Call, name: string, source: string, partition: number): Promise<Tail | null> {
    return this.#topics.use(call, name, async (topic) => {
      if (!topic) await this.#topics.assertNone(name)
      const last = topic && isOf(topic, partition) ? (await this.end(topic, source, partition)).last : undefined
      return last ? { number: last.number, offset: last.offset, id: last.id } : null
    })
  }

  /** The end of a partition, as the broker knows it now. */
  async end(topic: Topic, source: string, partition: number): Promise<End> {
    const seen = (await listOffsets(this.#cluster, topic, [partition], 'read', 'end')).get(partition) ?? 0
    let fetched = await this.#fetchNear(topic, source, partition, Math.max(0, seen - 1))
    const found = await this.#lastFrom(topic, source, partition, fetched)
    let { last } = found
    // Only claims, or what is not ours, behind that: look further back, in growing steps.
    for (let step = 16; !last && fetched.chunk.from > fetched.start; step *= 8) {
      fetched = await this.#fetchNear(topic, source, partition, Math.max(fetched.start, seen - step))
      last = (await this.#lastFrom(topic, source, partition, fetched, seen)).last
    }
    return { ...found, end: Math.max(found.end, seen), last }
  }

  /**
   * Records `first` to `last` of a partition, which reaches further than that; fewer, if the log no longer has them.
   */
  async numbered(
    topic: Topic,
    source: string,
    partition: number,
    tail: Mark,
    first: number,
    last: number,
  ): Promise<StoredRecord[]> {
    // Each number takes an offset, so one that is n numbers back is at least n offsets back.
    let { chunk, start } = await this.#fetchNear(
      topic,
      source,
      partition,
      Math.max(0, tail.place - (tail.number - first)),
    )
    for (;;) {
      const found = chunk.records[0]?.number ?? first + 1
      if (found <= first || chunk.from <= start) break
      ;({ chunk, start } = await this.#fetchNear(
        topic,
        source,
        partition,
        Math.max(start, chunk.from - (found - first)),
      ))
    }
    const records: StoredRecord[] = []
    for (;;) {
      records.push(...chunk.records.filter(({ number }) => number >= first && number <= last))
      if (chunk.next === chunk.from || (chunk.records.at(-1)?.number ?? 0) >= last) return records
      ;({ chunk } = await fetchFrom(
        this.#cluster,
        topic,
        source,
        partition,
        { offset: chunk.next, epoch: -1 },
        this.#limits.fetchBytesMax,
      ))
    }
  }

  async #again(name: string): Promise<Topic | undefined> {
    this.#cluster.forget(name)
    return this.#cluster.topic(name)
  }

  async #readOn(
    topic: Topic,
    source: string,
    partition: number,
    from: FetchFrom,
    limit: number,
  ): Promise<StoredRecord[]> {
    const found: StoredRecord[] = []
    let chars = 0
    for (let at = from; ;) {
      const kept = this.#ahead.find(topic.id, partition, at.offset)
      if (!kept && found.length > 0) return found
      const chunk = kept ?? (await this.#fetch(topic, source, partition, at)).chunk
      if (chunk.next <= at.offset) return found
      this.#ahead.add(topic.id, partition, at.offset, chunk)
      for (let index = indexFrom(chunk.places, at.offset); index < chunk.records.length; index++) {
        const record = chunk.records[index]!
        found.push(copyOf(record))
        chars += record.data.length
        if (found.length < limit && chars < this.#limits.readBytesMax) continue
        if (index + 1 < chunk.records.length) this.#ahead.add(topic.id, partition, chunk.places[index]! + 1, chunk)
        return found
      }
      at = { offset: chunk.next, epoch: chunk.epoch }
    }
  }

  async #fetch(topic: Topic, source: string, partition: number, from: FetchFrom): Promise<Fetched> {
    // Whoever led when that was read led later than what is known here: this knowledge, or the broker that it is from,
    // is behind.
    if (from.epoch > (topic.leaders[partition]?.epoch ?? -1)) throw new ProtocolError('UNKNOWN_LEADER_EPOCH')
    const cutOff = `what was read up to offset ${from.offset - 1} is not there any more: it was cut off, and may have gone on with other records`
    try {
      const fetched = await fetchFrom(this.#cluster, topic, source, partition, from, this.#limits.fetchBytesMax)
      if (fetched.diverged) throw lost(topic.name, partition, cutOff)
      if (fetched.chunk.hasForeign) this.#warn(topic, partition)
      return fetched
    } catch (error) {
      if (kafkaCodeOf(error) !== 'OFFSET_OUT_OF_RANGE') throw error
      const start = (await listOffsets(this.#cluster, topic, [partition], 'read', 'first')).get(partition) ?? 0
      throw lost(
        topic.name,
        partition,
        from.offset < start ? `offsets ${from.offset} to ${start - 1} were deleted or have expired` : cutOff,
      )
    }
  }

  /** Fetches at an offset that is only a guess. */
  async #fetchNear(topic: Topic, source: string, partition: number, offset: number): Promise<Fetched> {
    try {
      return await fetchFrom(this.#cluster, topic, source, partition, { offset, epoch: -1 }, this.#limits.fetchBytesMax)
    } catch (error) {
      if (kafkaCodeOf(error) !== 'OFFSET_OUT_OF_RANGE') throw error
      const start = (await listOffsets(this.#cluster, topic, [partition], 'read', 'first')).get(partition) ?? 0
      return fetchFrom(
        this.#cluster,
        topic,
        source,
        partition,
        { offset: start, epoch: -1 },
        this.#limits.fetchBytesMax,
      )
    }
  }

  /** Reads on from what was fetched to the end, which may be moving, and keeps the last of it. */
  async #lastFrom(
    topic: Topic,
    source: string,
    partition: number,
    fetched: Fetched,
    until = Number.MAX_SAFE_INTEGER,
  ): Promise<End> {
    let { chunk, end } = fetched
    let last = chunk.records.at(-1)
    let { producerId, producerEpoch } = chunk
    while (chunk.next < Math.min(end, until)) {
      const next = await fetchFrom(
        this.#cluster,
        topic,
        source,
        partition,
        { offset: chunk.next, epoch: -1 },
        this.#limits.fetchBytesMax,
      )
      if (next.chunk.next === chunk.next) break
      chunk = next.chunk
      end = next.end
      last = chunk.records.at(-1) ?? last
      producerId = chunk.producerId
      producerEpoch = chunk.producerEpoch
    }
    return { end: Math.max(end, 0), last, producerId, producerEpoch }
  }

  #warn({ name }: Topic, partition: number): void {
    if (this.#foreign.has(name) || this.#foreign.size >= 1000) return
    this.#foreign.add(name)
    this.#logger.warn(
      { topic: name, partition },
      'there are records in this topic that this log did not write; they are passed over. Let nobody else write to it',
    )
  }
}

/** Whether there is such a partition. */
export function isOf(topic: Topic, partition: number): boolean {
  return Number.isInteger(partition) && partition >= 0 && partition < topic.leaders.length
}

/** The first of ascending places that is `from` or later. */
function indexFrom(places: readonly number[], from: number): number {
  let low = 0
  let high = places.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (places[middle]! < from) low = middle + 1
    else high = middle
  }
  return low
}

function lost(topic: string, partition: number, why: string): AtollError {
  return new AtollError(
    'LOG_GAP',
    `partition ${partition} of topic ${topic} has lost records that were to be read: ${why}. Restore the topic; what is missing stands in the ledger`,
  )
}
