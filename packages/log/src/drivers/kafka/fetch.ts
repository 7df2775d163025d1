import { fetchV15, listOffsetsV7, ProtocolError } from '@platformatic/kafka'
import type { Cluster, Lane, Topic } from './cluster.ts'
import { toChunk, type Chunk } from './format.ts'

/** What one fetch brought, and where the partition begins and ends. */
export interface Fetched {
  readonly chunk: Chunk
  /** Of the first offset that is left. */
  readonly start: number
  /** Behind the last durable record. */
  readonly end: number
  /** The log was cut off below `offset` and went on from there: what was read is not what is there. */
  readonly diverged: boolean
}

export interface FetchFrom {
  readonly offset: number
  /**
   * Of the record before it, as far as is known; -1 if not. The broker then says whether that record is still in its
   * log.
   */
  readonly epoch: number
}

/**
 * Fetches from one partition what is durable at this moment, waiting for nothing. Each fetch stands for itself (no
 * fetch session), so a lost answer leaves nothing behind at the broker. Rejects with the library's errors;
 * OFFSET_OUT_OF_RANGE among them.
 */
export async function fetchFrom(
  cluster: Cluster,
  topic: Topic,
  source: string,
  partition: number,
  from: FetchFrom,
  bytesMax: number,
): Promise<Fetched> {
  const connection = await cluster.node(leaderOf(topic, partition), 'read')
  // A broker that has ceased to lead and does not know it yet has another epoch, and refuses.
  const partitions = [
    {
      partition,
      currentLeaderEpoch: topic.leaders[partition]?.epoch ?? -1,
      fetchOffset: BigInt(from.offset),
      lastFetchedEpoch: from.epoch,
      partitionMaxBytes: bytesMax,
    },
  ]
  const answer: fetchV15.FetchResponse = await cluster.request(
    connection,
    fetchV15.api,
    0,
    0,
    bytesMax,
    READ_UNCOMMITTED,
    0,
    NO_SESSION,
    [{ topicId: topic.id, partitions }],
    [],
    '',
  )
  const found = answer.responses[0]?.partitions[0]
  if (!found) throw new ProtocolError('UNKNOWN_TOPIC_ID')
  return {
    chunk: toChunk(source, partition, topic.id, from.offset, found.records ?? []),
    start: Number(found.logStartOffset),
    end: Number(found.highWatermark),
    diverged: (found.divergingEpoch?.epoch ?? -1) !== -1,
  }
}

/**
 * Where partitions of a topic end: the offset behind the last durable record, or with `first`, that of the first one
 * that is left. Of the end only this is an answer: after another broker has taken the lead, fetches show less than was
 * acknowledged until it has heard from its followers, but this is refused meanwhile (OFFSET_NOT_AVAILABLE).
 */
export async function listOffsets(
  cluster: Cluster,
  topic: Topic,
  partitions: readonly number[],
  lane: Lane,
  which: 'first' | 'end',
): Promise<Map<number, number>> {
  const byLeader = Map.groupBy(partitions, (partition) => leaderOf(topic, partition))
  const timestamp = which === 'first' ? EARLIEST : LATEST
  const ends = new Map<number, number>()
  for (const [leader, led] of byLeader) {
    const connection = await cluster.node(leader, lane)
    const wanted = led.map((partitionIndex) => ({
      partitionIndex,
      currentLeaderEpoch: topic.leaders[partitionIndex]?.epoch ?? -1,
      timestamp,
    }))
    const answer = await cluster.request(connection, listOffsetsV7.api, -1, READ_UNCOMMITTED, [
      { name: topic.name, partitions: wanted },
    ])
    for (const { partitionIndex, offset } of answer.topics[0]?.partitions ?? [])
      ends.set(partitionIndex, Number(offset))
  }
  return ends
}

export function leaderOf(topic: Topic, partition: number): number {
  return topic.leaders[partition]?.node ?? -1
}

/**
 * Nobody here writes in transactions, so there is nothing to hide; and a transaction that somebody else left open holds
 * nobody up.
 */
export const READ_UNCOMMITTED = 0
/** Epoch of a fetch that wants no session. */
export const NO_SESSION = -1
const EARLIEST = -2n
const LATEST = -1n
