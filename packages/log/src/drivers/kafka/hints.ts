import type { Host } from '@atoll/host'
import { fetchV15 } from '@platformatic/kafka'
import { Listeners } from '../shared/listeners.ts'
import type { Cluster, Topic } from './cluster.ts'
import { answerOf } from './errors.ts'
import { leaderOf, listOffsets, NO_SESSION, READ_UNCOMMITTED } from './fetch.ts'
import type { KafkaLogLimits } from './limits.ts'
import { topicOf } from './names.ts'

interface Watched {
  readonly name: string
  /** How many listen. */
  count: number
  /** When the last one ceased to. */
  idleSinceMs: number
  topic: Topic | undefined
  /** By partition, where it was last seen to end. */
  readonly ends: Map<number, number>
}

/**
 * Tells who listens when topics grow: at once of what this process appends, by a question that the brokers hold for a
 * while of the rest.
 */
export class Hints {
  readonly #system: string
  readonly #cluster: Cluster
  readonly #host: Host
  readonly #limits: KafkaLogLimits
  readonly #listeners = new Listeners()
  readonly #sources = new Map<string, Watched>()
  #running: Promise<void> | undefined
  #wakeUp: (() => void) | undefined
  #closed = false

  constructor(system: string, cluster: Cluster, host: Host, limits: KafkaLogLimits) {
    this.#system = system
    this.#cluster = cluster
    this.#host = host
    this.#limits = limits
  }

  watch(source: string, listener: (partition: number) => void): () => void {
    const watched = this.#sources.get(source) ?? {
      name: topicOf(this.#system, source),
      count: 0,
      idleSinceMs: 0,
      topic: undefined,
      ends: new Map(),
    }
    this.#sources.set(source, watched)
    watched.count++
    const end = this.#listeners.watch(source, listener)
    this.#running ??= this.#run()
    let ended = false
    return () => {
      end()
      if (ended) return
      ended = true
      watched.count--
      watched.idleSinceMs = this.#host.monotonicMs()
    }
  }

  /** This process has appended there. */
  tell(source: string, partitions: readonly number[]): void {
    this.#listeners.tell(source, partitions)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#listeners.close()
    this.#wakeUp?.()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#closed && this.#sources.size > 0) {
      this.#dropIdle()
      const asked = await this.#look().catch(() => false) // whoever reads is told what is wrong
      if (!asked) await this.#pause()
    }
    this.#running = undefined
  }

  /** Those who wait for news come and go; what was found out of a topic is kept for the next one a while. */
  #dropIdle(): void {
    const now = this.#host.monotonicMs()
    for (const [source, { count, idleSinceMs }] of this.#sources) {
      if (count === 0 && now - idleSinceMs > idleMs) this.#sources.delete(source)
    }
  }

  #pause(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wakeUp = resolve
      this.#host.after(this.#limits.watchMs, resolve)
    })
  }

  /** Asks every broker that leads something of what is watched. False if there was nobody to ask. */
  async #look(): Promise<boolean> {
    const byLeader = new Map<number, { source: string; watched: Watched; topic: Topic; partitions: number[] }[]>()
    for (const [source, watched] of this.#sources) {
      const topic = await this.#learn(source, watched)
      if (!topic) continue
      for (const [leader, partitions] of Map.groupBy(watched.ends.keys(), (partition) => leaderOf(topic, partition))) {
        if (leader !== -1)
          byLeader.set(leader, [...(byLeader.get(leader) ?? []), { source, watched, topic, partitions }])
      }
    }
    const asked = await Promise.all([...byLeader].map(([leader, parts]) => this.#ask(leader, parts)))
    return asked.some(Boolean)
  }

  /** Finds out of a topic where it ends, which may be news: it may have grown before anybody looked. */
  async #learn(source: string, watched: Watched): Promise<Topic | undefined> {
    const topic = await this.#cluster.topic(watched.name)
    if (watched.topic?.id === topic?.id) return (watched.topic = topic)
    watched.topic = undefined
    watched.ends.clear()
    if (!topic) return undefined
    const ends = await listOffsets(this.#cluster, topic, [...topic.leaders.keys()], 'watch', 'end')
    for (const [partition, end] of ends) {
      watched.ends.set(partition, end)
      if (end > 0) this.#listeners.tell(source, [partition])
    }
    return (watched.topic = topic)
  }

  /** One question: which of these partitions has grown? The broker answers when one has, or after `watchMs`. */
  async #ask(
    leader: number,
    parts: readonly { source: string; watched: Watched; topic: Topic; partitions: readonly number[] }[],
  ): Promise<boolean> {
    const topics = parts.map(({ topic, watched, partitions }) => ({
      topicId: topic.id,
      partitions: partitions.map((partition) => ({
        partition,
        currentLeaderEpoch: -1,
        fetchOffset: BigInt(watched.ends.get(partition) ?? 0),
        lastFetchedEpoch: -1,
        partitionMaxBytes: 1,
      })),
    }))
    let answer: fetchV15.FetchResponse | undefined
    try {
      const connection = await this.#cluster.node(leader, 'watch')
      answer = await this.#cluster.request(
        connection,
        fetchV15.api,
        this.#limits.watchMs,
        1,
        1,
        READ_UNCOMMITTED,
        0,
        NO_SESSION,
        topics,
        [],
        '',
      )
    } catch (error) {
      answer = answerOf<fetchV15.FetchResponse>(error)
    }
    for (const { topicId, partitions } of answer?.responses ?? []) {
      const part = parts.find(({ topic }) => topic.id === topicId)
      for (const { partitionIndex, errorCode, highWatermark } of part ? partitions : [])
        this.#note(part!, partitionIndex, errorCode, Number(highWatermark))
    }
    return answer !== undefined && answer.errorCode === 0
  }

  #note(
    { source, watched }: { source: string; watched: Watched },
    partition: number,
    errorCode: number,
    end: number,
  ): void {
    if (errorCode !== 0) {
      // Moved, deleted, cut off: begin anew with what the brokers say.
      this.#cluster.forget(watched.name)
      watched.topic = undefined
      return
    }
    if (end <= (watched.ends.get(partition) ?? 0)) return
    watched.ends.set(partition, end)
    this.#listeners.tell(source, [partition])
  }
}

/** How long a source is watched after the last listener is gone. */
const idleMs = 10_000
