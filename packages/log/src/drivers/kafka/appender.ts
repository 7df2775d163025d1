import { AtollError } from '@atoll/host'
import type { LogRecord } from '../../driver.ts'
import type { Call } from './call.ts'
import { Claims, markOf, produce, type Claim, type Mark, type ClaimsParts } from './claims.ts'
import type { Cluster, Topic } from './cluster.ts'
import { isFenced, isStale } from './errors.ts'
import { batchBytesMaxOf, type KafkaLogLimits } from './limits.ts'
import { isOf, type End, type Reader } from './reader.ts'
import type { Parcel } from './format.ts'
import type { Topics } from './topics.ts'

/** What is known of the end of a partition. */
interface Known {
  readonly last: Mark | undefined
  /**
   * What the broker said just now; undefined if the partition is claimed, and so nobody else can have moved its end.
   */
  readonly end: End | undefined
}

export interface AppenderParts extends Omit<ClaimsParts, 'claimMs'> {
  readonly topics: Topics
  readonly limits: KafkaLogLimits
}

/** Writes the records of one source, one append after the other. */
export class Appender {
  readonly #source: string
  readonly #name: string
  readonly #cluster: Cluster
  readonly #topics: Topics
  readonly #reader: Reader
  readonly #batchBytesMax: number
  readonly #claims: Claims
  #turn: Promise<unknown> = Promise.resolve()

  constructor({ source, name, lane, cluster, topics, reader, host, limits }: AppenderParts) {
    this.#source = source
    this.#name = name
    this.#cluster = cluster
    this.#topics = topics
    this.#reader = reader
    this.#batchBytesMax = batchBytesMaxOf(limits)
    this.#claims = new Claims({ source, name, lane, cluster, reader, host, claimMs: limits.claimMs })
  }

  /** Appends when those before it are done. Resolves with the partitions that have grown. */
  append(call: Call, parcels: readonly Parcel[]): Promise<number[]> {
    const turn = this.#turn.then(async () => {
      await call.assertTime()
      return this.#append(call, parcels)
    })
    this.#turn = turn.catch(() => undefined) // the caller is told
    return turn
  }

  async #append(call: Call, parcels: readonly Parcel[]): Promise<number[]> {
    const byPartition = Map.groupBy(parcels, ({ record }) => record.partition)
    for (let tries = 1; ; tries++) {
      let isRemembered = false
      try {
        const { topic: found, known } = await call.wait(
          this.#topics.use(call, this.#name, (topic) => this.#look(topic, [...byPartition.keys()])),
        )
        isRemembered = [...known.values()].some(({ end }) => end === undefined)
        const fresh = await call.wait(this.#fresh(found, byPartition, known))
        if (fresh.size === 0) return []
        const topic = found ? this.#topics.fitting(found) : await this.#topics.open(call, this.#name)
        if (await this.#claimAll(call, topic, [...fresh.keys()], known)) {
          await this.#write(call, topic, fresh)
          return [...fresh.keys()]
        }
      } catch (error) {
        for (const partition of byPartition.keys()) this.#claims.drop(partition)
        // A refusal by what was remembered is only a reason to look.
        const mayBeOld = isRemembered && error instanceof AtollError && error.code === 'LOG_GAP'
        if (!isStale(error) && !isFenced(error) && !mayBeOld) throw error
        if (tries >= triesMax) throw error
        if (isStale(error)) await this.#topics.settle(call, this.#name, tries)
      }
      if (tries >= triesMax) {
        throw new AtollError(
          'UNAVAILABLE',
          `another writer of ${this.#name} took it over ${triesMax} times during one append; let one instance of ${this.#source} relay at a time`,
        )
      }
    }
  }

  /** Where partitions end: as remembered for those that are claimed, else as the brokers say. */
  async #look(
    topic: Topic | undefined,
    partitions: readonly number[],
  ): Promise<{ topic: Topic | undefined; known: Map<number, Known> }> {
    const known = await Promise.all(
      partitions.map(async (partition): Promise<[number, Known]> => {
        const claim = topic && this.#claims.find(topic, partition)
        if (claim) return [partition, { last: claim.last, end: undefined }]
        const end = topic && isOf(topic, partition) ? await this.#reader.end(topic, this.#source, partition) : noEnd
        return [partition, { last: markOf(end.last), end }]
      }),
    )
    return { topic, known: new Map(known) }
  }

  /** What the log does not have yet of an append. Throws if it must be refused. */
  async #fresh(
    topic: Topic | undefined,
    byPartition: ReadonlyMap<number, readonly Parcel[]>,
    known: ReadonlyMap<number, Known>,
  ): Promise<Map<number, Parcel[]>> {
    const all = new Map<number, Parcel[]>()
    for (const [partition, parcels] of byPartition) {
      const last = known.get(partition)?.last
      const lastNumber = last?.number ?? 0
      const fresh: Parcel[] = []
      const repeated: LogRecord[] = []
      for (const parcel of parcels) {
        const { record } = parcel
        const next = lastNumber + fresh.length + 1
        if (record.number === next) fresh.push(parcel)
        else if (record.number > next) throw await this.#gap(topic, record, next - 1)
        else if (record.number <= lastNumber) repeated.push(record)
        else this.#assertSame(fresh[record.number - lastNumber - 1]!.record.id, record)
      }
      if (topic && last && repeated.length > 0) await this.#assertRepeats(topic, partition, last, repeated)
      if (fresh.length > 0) all.set(partition, fresh)
    }
    return all
  }

  async #gap(topic: Topic | undefined, { number, partition }: LogRecord, last: number): Promise<AtollError> {
    if (!topic) await this.#topics.assertNone(this.#name)
    return new AtollError(
      'LOG_GAP',
      `number ${number} in partition ${partition} of ${this.#source} would follow ${last} in topic ${this.#name}: events are missing between them`,
    )
  }

  async #assertRepeats(topic: Topic, partition: number, last: Mark, repeated: readonly LogRecord[]): Promise<void> {
    const numbers = repeated.map(({ number }) => number)
    const stored = await this.#reader.numbered(
      topic,
      this.#source,
      partition,
      last,
      Math.min(...numbers),
      Math.max(...numbers),
    )
    const ids = new Map(stored.map(({ number, id }) => [number, id]))
    for (const record of repeated) {
      const id = ids.get(record.number)
      if (id !== undefined) this.#assertSame(id, record)
      else
        throw new AtollError(
          'LOG_GAP',
          `number ${record.number} in partition ${partition} of ${this.#source} was in topic ${topic.name}, and is not any more: records were deleted or have expired. Restore it`,
        )
    }
  }

  #assertSame(id: string, record: LogRecord): void {
    if (record.id === id) return
    throw new AtollError(
      'LOG_DIVERGED',
      `number ${record.number} in partition ${record.partition} of ${this.#source} belongs to event ${id} in topic ${this.#name}, not to ${record.id}: the log and the store are of different histories`,
    )
  }

  /**
   * Claims what is not claimed yet. False if the end of a partition has moved meanwhile: then what is fresh must be
   * found out again.
   */
  async #claimAll(
    call: Call,
    topic: Topic,
    partitions: readonly number[],
    known: ReadonlyMap<number, Known>,
  ): Promise<boolean> {
    const claims = partitions.map((partition) => {
      const end = known.get(partition)?.end
      return end ? this.#claims.claim(call, topic, partition, end) : true
    })
    return (await allSettled(claims)).every(Boolean)
  }

  /** Writes batch after batch, and none of a partition after one that failed. */
  async #write(call: Call, topic: Topic, fresh: ReadonlyMap<number, readonly Parcel[]>): Promise<void> {
    const batches = [...fresh].map(([partition, parcels]) => ({
      partition,
      parts: inBatches(parcels, this.#batchBytesMax),
    }))
    const rounds = Math.max(...batches.map(({ parts }) => parts.length))
    for (let round = 0; round < rounds; round++) {
      const requests = new Map<string, Part[]>()
      for (const { partition, parts } of batches) {
        const parcels = parts[round]
        if (!parcels) continue
        const claim = this.#claims.held(partition)
        if (!claim)
          throw new AtollError(
            'UNAVAILABLE',
            `the connection to the broker that leads partition ${partition} of ${topic.name} is gone; try again`,
          )
        // One request goes to one broker, under one id and epoch.
        const key = `${claim.connection.instanceId}/${claim.producerId}/${claim.producerEpoch}`
        requests.set(key, [...(requests.get(key) ?? []), { partition, claim, parcels }])
      }
      await allSettled([...requests.values()].map((parts) => this.#request(call, topic, parts)))
    }
  }

  async #request(call: Call, topic: Topic, parts: readonly Part[]): Promise<void> {
    const { claim } = parts[0]! // there is at least one
    const messages = parts.flatMap(({ parcels }) => parcels.map(({ message }) => message))
    const sequences = new Map(parts.map((part) => [part.partition, part.claim.sequence]))
    const offsets = await call.wait(produce(this.#cluster, claim.connection, call.leftMs, messages, claim, sequences))
    for (const part of parts) this.#note(topic, part, offsets.get(part.partition) ?? -1)
  }

  #note(topic: Topic, { partition, claim, parcels }: Part, offset: number): void {
    if (offset < claim.next) {
      throw new AtollError(
        'LOG_GAP',
        `partition ${partition} of topic ${topic.name} ended at offset ${claim.next}, and the next record got ${offset}: what was acknowledged has been lost there. Restore it`,
      )
    }
    claim.sequence += parcels.length
    claim.next = offset + parcels.length
    claim.last = { number: parcels.at(-1)!.record.number, place: claim.next - 1 }
  }
}

/** What goes to one partition in one request. */
interface Part {
  readonly partition: number
  readonly claim: Claim
  readonly parcels: readonly Parcel[]
}

const noEnd: End = { end: 0, last: undefined, producerId: -1n, producerEpoch: -1 }

/** Looks, claims and begins again so often, if others write at the same time or leaders move. */
const triesMax = 6

function inBatches(parcels: readonly Parcel[], bytesMax: number): Parcel[][] {
  const batches: Parcel[][] = []
  let batch: Parcel[] = []
  let bytes = 0
  for (const parcel of parcels) {
    const first = batch[0]
    bytes += parcel.bytes
    if (!first || bytes > bytesMax || Math.abs(parcel.record.at - first.record.at) > spanMsMax) {
      batches.push((batch = []))
      bytes = parcel.bytes
    }
    batch.push(parcel)
  }
  return batches
}

/** Times lie in a batch as differences, which the library writes wrongly from 32 bits on: 25 days. */
const spanMsMax = 2 ** 31 - 1

/** Waits for all, also when one rejects: what is still being written must not overlap with what comes next. */
async function allSettled<T>(promises: readonly (T | Promise<T>)[]): Promise<T[]> {
  const results = await Promise.allSettled(promises)
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}
