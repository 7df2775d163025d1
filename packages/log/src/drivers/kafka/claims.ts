import type { Host } from '@atoll/host'
import {
  findCoordinatorV4,
  initProducerIdV4,
  NumericMap,
  produceV9,
  type Connection,
  type MessageRecord,
} from '@platformatic/kafka'
import type { Call } from './call.ts'
import type { Cluster, Topic } from './cluster.ts'
import { isCoordinating } from './errors.ts'
import { leaderOf } from './fetch.ts'
import type { StoredRecord } from '../../driver.ts'
import { claimMessage, placeOf } from './format.ts'
import type { End, Reader } from './reader.ts'

/** The right to write to one partition. It is over when its connection is, or when anything goes wrong under it. */
export interface Claim {
  readonly connection: Connection
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly topicId: string
  readonly sinceMs: number
  /** Of the next record; the broker refuses a batch that does not begin with it. */
  sequence: number
  /** The offset that the next record gets. */
  next: number
  /** The last record of the partition; nobody else can have added one. */
  last: Mark | undefined
}

/** A number, and the offset of its record. */
export interface Mark {
  readonly number: number
  readonly place: number
}

/**
 * A name under which the brokers accept batches, and which makes all earlier ones of the same source invalid wherever
 * it is used.
 */
interface Session {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** Partitions that it was used for. Once only: a claim that is over must not come back to life. */
  readonly used: Set<number>
}

export interface ClaimsParts {
  readonly source: string
  /** The topic's. */
  readonly name: string
  /** Of the cluster's connections, the one that appends go through. */
  readonly lane: `append-${number}`
  readonly cluster: Cluster
  readonly reader: Reader
  readonly host: Host
  readonly claimMs: number
}

/**
 * Who may write to the partitions of one source. Kafka has no compare-and-set, but it has this: of one producer id it
 * takes no batch of a lower epoch than it has seen in that partition. So each writer of a source gets the same producer
 * id (that of a transactional id, for Kafka gives no other for keeps) with an epoch of its own, and begins with a
 * record that claims the partition. From there on nobody else can write, neither another process nor a batch of this
 * one that is still on its way; so what lies before that record is all there is, and what comes next is known. There
 * are no transactions: nothing is held back from readers, and nothing costs more.
 */
export class Claims {
  readonly #source: string
  readonly #name: string
  readonly #lane: `append-${number}`
  readonly #cluster: Cluster
  readonly #reader: Reader
  readonly #host: Host
  readonly #claimMs: number
  readonly #claims = new Map<number, Claim>()
  #session: Session | undefined
  #beginning: Promise<Session> | undefined

  constructor({ source, name, lane, cluster, reader, host, claimMs }: ClaimsParts) {
    this.#source = source
    this.#name = name
    this.#lane = lane
    this.#cluster = cluster
    this.#reader = reader
    this.#host = host
    this.#claimMs = claimMs
  }

  /** The claim to a partition, if an append can begin under it. Whether it still stands only the broker knows. */
  find(topic: Topic, partition: number): Claim | undefined {
    const claim = this.held(partition)
    const isYoung = claim && claim.sequence < sequenceMax && this.#host.monotonicMs() - claim.sinceMs < this.#claimMs
    if (isYoung && claim.topicId === topic.id) return claim
    this.#claims.delete(partition)
    return undefined
  }

  /** The claim to a partition under which an append has begun, unless its connection was lost since. */
  held(partition: number): Claim | undefined {
    const claim = this.#claims.get(partition)
    return claim?.connection.isConnected() ? claim : undefined
  }

  /** Whatever became of a write, the next one begins with a new claim. */
  drop(partition: number): void {
    this.#claims.delete(partition)
  }

  /**
   * Claims a partition that was seen to end at `end`. Resolves with whether it still ended there; if not, what was
   * found out of it is out of date.
   */
  async claim(call: Call, topic: Topic, partition: number, end: End): Promise<boolean> {
    this.drop(partition)
    const session = await this.#sessionFor(call, partition)
    let expected = end.end
    // Kafka forgets the producer id of a source that claimed nothing for a week, or after 32,766 claims: the one before
    // is shut out by hand.
    if (end.producerId !== -1n && end.producerId !== session.producerId && end.producerEpoch < epochMax) {
      await this.#write(call, topic, partition, { producerId: end.producerId, producerEpoch: end.producerEpoch + 1 })
      expected++
    }
    const { connection, offset } = await this.#write(call, topic, partition, session)
    const isAsSeen = offset === expected
    const last = isAsSeen
      ? markOf(end.last)
      : markOf((await call.wait(this.#reader.end(topic, this.#source, partition))).last)
    const { producerId, producerEpoch } = session
    this.#claims.set(partition, {
      connection,
      producerId,
      producerEpoch,
      topicId: topic.id,
      sinceMs: this.#host.monotonicMs(),
      sequence: 1,
      next: offset + 1,
      last,
    })
    return isAsSeen
  }

  async #sessionFor(call: Call, partition: number): Promise<Session> {
    if (!this.#session || this.#session.used.has(partition)) {
      // Partitions of one append that need a new one share it.
      this.#beginning ??= this.#begin(call).finally(() => (this.#beginning = undefined))
      this.#session = await this.#beginning
    }
    this.#session.used.add(partition)
    return this.#session
  }

  async #begin(call: Call): Promise<Session> {
    for (;;) {
      try {
        const found = await call.wait(
          this.#cluster.request(await call.wait(this.#cluster.any()), findCoordinatorV4.api, TRANSACTION, [this.#name]),
        )
        const coordinator = await call.wait(this.#cluster.at(found.coordinators[0]!, 'control')) // one was asked for
        const { producerId, producerEpoch } = await call.wait(
          this.#cluster.request(coordinator, initProducerIdV4.api, this.#name, transactionMs),
        )
        return { producerId, producerEpoch, used: new Set() }
      } catch (error) {
        if (!isCoordinating(error)) throw error
        await call.pause(coordinatorPauseMs)
      }
    }
  }

  /** Writes the record that makes a claim. */
  async #write(
    call: Call,
    topic: Topic,
    partition: number,
    as: { producerId: bigint; producerEpoch: number },
  ): Promise<{ connection: Connection; offset: number }> {
    const connection = await call.wait(this.#cluster.node(leaderOf(topic, partition), this.#lane))
    const message = claimMessage(topic.name, partition, this.#host.uuid(), this.#host.now())
    const offsets = await call.wait(
      produce(this.#cluster, connection, call.leftMs, [message], as, new Map([[partition, 0]])),
    )
    return { connection, offset: offsets.get(partition)! } // a produce that resolves has one for each partition
  }
}

export function markOf(record: StoredRecord | undefined): Mark | undefined {
  return record && { number: record.number, place: placeOf(record.offset).offset }
}

/**
 * Writes one batch to each partition that has messages. Resolves when all are on every replica in sync, with the offset
 * of the first record of each.
 */
export async function produce(
  cluster: Cluster,
  connection: Connection,
  timeoutMs: number,
  messages: MessageRecord[],
  as: { producerId: bigint; producerEpoch: number },
  sequences: ReadonlyMap<number, number>,
): Promise<Map<number, number>> {
  const topic = messages[0]!.topic
  const byPartition = new NumericMap(
    [...sequences].map(([partition, sequence]) => [`${topic}:${partition}`, sequence] as const),
  )
  const answer = await cluster.request(connection, produceV9.api, ALL_IN_SYNC, timeoutMs, messages, {
    ...as,
    sequences: byPartition,
  })
  // it is `true` only for a produce without acknowledgement
  const partitions = (answer as produceV9.ProduceResponse).responses[0]?.partitionResponses ?? []
  return new Map(partitions.map(({ index, baseOffset }) => [index, Number(baseOffset)]))
}

const TRANSACTION = 1
const ALL_IN_SYNC = -1
/** For Kafka's bookkeeping; no transaction is ever begun. */
const transactionMs = 60_000
/** Brokers take a moment to make the topic of coordinators, or to hand one over. */
const coordinatorPauseMs = 50
const epochMax = 2 ** 15 - 1
/** Sequences are 32 bits; well before they run out a new claim begins anew. */
const sequenceMax = 2 ** 31 - 1_000_000
