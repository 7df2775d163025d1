import { AtollError } from '@atoll/host'
import { createTopicsV7, ProtocolError } from '@platformatic/kafka'
import type { Call } from './call.ts'
import type { Cluster, Topic } from './cluster.ts'
import { answerOf, isStale, kafkaCodeOf } from './errors.ts'
import { batchBytesMaxOf, type KafkaLogLimits } from './limits.ts'

/** How topics are made. */
export interface TopicShape {
  readonly partitions: number
  readonly replicas: number
}

/**
 * How many replicas must have a record before it is acknowledged: a majority, so that losing one loses nothing, and
 * stops nothing if there are three.
 */
function minInSyncOf(replicas: number): number {
  return Math.floor(replicas / 2) + 1
}

/** What a topic must say so that nothing expires, nothing is thinned out, and nothing that the log takes is refused. */
export function topicConfigs(replicas: number, limits: KafkaLogLimits): Record<string, string> {
  const largest = String(2n ** 63n - 1n)
  return {
    'cleanup.policy': 'delete',
    'retention.ms': '-1',
    'retention.bytes': '-1',
    'min.insync.replicas': String(minInSyncOf(replicas)),
    'max.message.bytes': String(batchBytesMaxOf(limits) + 4096),
    'message.timestamp.type': 'CreateTime',
    'message.timestamp.before.max.ms': largest, // the timestamp is the emitter's, whose clock may be wrong
    'message.timestamp.after.max.ms': largest,
    // Kafka acknowledges from memory, and relies on other replicas having it too. Where there are none, the disk must.
    ...(replicas === 1 && { 'flush.messages': '1' }),
  }
}

/** Topics of sources: found, and made when something is first appended. */
export class Topics {
  readonly #cluster: Cluster
  readonly #shape: TopicShape
  readonly #limits: KafkaLogLimits

  constructor(cluster: Cluster, shape: TopicShape, limits: KafkaLogLimits) {
    this.#cluster = cluster
    this.#shape = shape
    this.#limits = limits
  }

  /** Runs `use` with what is known of a topic; with what the brokers know of it by then, if that was out of date. */
  async use<T>(call: Call, name: string, use: (topic: Topic | undefined) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await use(await call.wait(this.#cluster.topic(name)))
      } catch (error) {
        if (!isStale(error) || tries >= triesMax) throw error
        await this.settle(call, name, tries)
      }
    }
  }

  /**
   * What was known of a topic is out of date. Brokers hear of a change one after the other, so each try waits longer.
   */
  async settle(call: Call, name: string, tries: number): Promise<void> {
    this.#cluster.forget(name)
    if (tries > 1) await call.pause(changePauseMs * 2 ** tries)
  }

  /**
   * The topic, made if there is none; resolves when each partition has a leader. Rejects if it has another number of
   * partitions.
   */
  async open(call: Call, name: string): Promise<Topic> {
    for (;;) {
      const topic = await call.wait(this.#cluster.topic(name))
      if (topic && topic.leaders.every(({ node }) => node !== -1)) return this.fitting(topic)
      if (!topic) await this.#create(call, name)
      await call.pause(changePauseMs)
    }
  }

  /** The topic, if it has as many partitions as the log is opened with. */
  fitting(topic: Topic): Topic {
    const found = topic.leaders.length
    if (found === this.#shape.partitions) return topic
    throw new AtollError(
      'UNSUPPORTED',
      `topic ${topic.name} has ${found} partitions, and the log is opened with ${this.#shape.partitions}; open it with ${found}: keys would move to other partitions, and their order be lost`,
    )
  }

  /**
   * Throws UNKNOWN_TOPIC_OR_PARTITION, as if leaders had moved, if there is a topic after all: the broker that knew
   * none is behind. Only the controller knows, and it says so when it is asked whether one could be made.
   */
  async assertNone(name: string): Promise<void> {
    try {
      await this.#askController(name, this.#limits.callMs, true)
    } catch (error) {
      const code = kafkaCodeOf(error)
      if (code === 'TOPIC_ALREADY_EXISTS') throw new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION')
      // Whoever may not make it, or not so, is told of one that is there first.
      if (!code?.endsWith('_AUTHORIZATION_FAILED') && !code?.startsWith('INVALID_') && code !== 'POLICY_VIOLATION')
        throw error
    }
  }

  async #create(call: Call, name: string): Promise<void> {
    try {
      await call.wait(this.#askController(name, call.leftMs, false))
    } catch (error) {
      if (kafkaCodeOf(error) === 'TOPIC_ALREADY_EXISTS') return
      if (kafkaCodeOf(error) !== 'INVALID_CONFIG') throw error
      const reason = answerOf<createTopicsV7.CreateTopicsResponse>(error)?.topics[0]?.errorMessage
      throw new AtollError(
        'UNSUPPORTED',
        `Kafka will not make topic ${name} with the settings that the log needs (${reason}); use Apache Kafka 3.6 or later`,
        { cause: error },
      )
    }
  }

  async #askController(name: string, timeoutMs: number, onlyAsks: boolean): Promise<void> {
    const { partitions, replicas } = this.#shape
    const configs = Object.entries(topicConfigs(replicas, this.#limits)).map(([key, value]) => ({ name: key, value }))
    const wanted = { name, numPartitions: partitions, replicationFactor: replicas, assignments: [], configs }
    await this.#cluster.request(await this.#cluster.controller(), createTopicsV7.api, [wanted], timeoutMs, onlyAsks)
  }
}

/** How often a topic is looked up anew before a call is refused: leaders move, and topics are made, within a second. */
const triesMax = 6
const changePauseMs = 5
