import type { Examination, Finding } from '@atoll/host'
import {
  apiVersionsV3,
  ConfigResourceTypes,
  createTopicsV7,
  describeConfigsV4,
  fetchV15,
  findCoordinatorV4,
  initProducerIdV4,
  listOffsetsV7,
  metadataV12,
  produceV9,
} from '@platformatic/kafka'
import type { Call } from './call.ts'
import type { Cluster } from './cluster.ts'
import { kafkaCodeOf } from './errors.ts'
import { judge, type BrokerView, type Settings, type TopicView } from './findings.ts'
import type { KafkaLogLimits } from './limits.ts'
import { topicConfigs, type TopicShape } from './topics.ts'

/**
 * Reads what the brokers say of themselves and of the topics of a system, and what it means for the promises. Changes
 * nothing.
 */
export async function examine(
  call: Call,
  cluster: Cluster,
  system: string,
  shape: TopicShape,
  limits: KafkaLogLimits,
): Promise<Examination> {
  const { version, finding } = await versionOf(call, cluster)
  const { brokers: found, topics: all } = await call.wait(cluster.metadata(null))
  const brokers: BrokerView[] = []
  for (const { nodeId } of found) {
    const settings = await call.wait(brokerSettings(cluster, nodeId))
    brokers.push({ id: nodeId, settings })
  }
  const ours = all.filter(({ name, errorCode }) => name?.startsWith(`${system}.`) && errorCode === 0)
  const topics: TopicView[] = []
  for (const { name, partitions } of ours) {
    const settings = await call.wait(topicSettings(cluster, name!)) // filtered by its name
    topics.push({
      name: name!,
      isThere: true,
      partitions: partitions.length,
      replicas: Math.min(...partitions.map(({ replicaNodes }) => replicaNodes.length)),
      settings,
    })
  }
  if (topics.length === 0) topics.push(topicToCome(shape, limits, brokers))
  const isReady = all.some(({ name }) => name === '__transaction_state')
  const { findings, survives } = judge({ brokers, topics, shape, limits, isTransactionLogThere: isReady })
  return { engine: 'Apache Kafka', version, findings: [finding, ...findings], survives }
}

/** What a topic will be like when it is made: what is asked for, and what the brokers do where nothing is. */
function topicToCome(shape: TopicShape, limits: KafkaLogLimits, [broker]: readonly BrokerView[]): TopicView {
  const wanted = topicConfigs(shape.replicas, limits)
  const ofBroker = broker?.settings
  const settings: Settings = {
    why: ofBroker?.why ?? 'no broker was found',
    get: (name) => wanted[name] ?? (brokerNames[name] === undefined ? undefined : ofBroker?.get(brokerNames[name])),
  }
  return { name: 'topics to come', isThere: false, partitions: shape.partitions, replicas: shape.replicas, settings }
}

/** What brokers call the settings that topics take from them. */
const brokerNames: Readonly<Record<string, string>> = {
  'flush.messages': 'log.flush.interval.messages',
  'unclean.leader.election.enable': 'unclean.leader.election.enable',
}

async function brokerSettings(cluster: Cluster, id: number): Promise<Settings> {
  try {
    return await settingsOf(cluster, id, ConfigResourceTypes.BROKER, String(id))
  } catch (error) {
    return unreadable(error, `broker ${id}`)
  }
}

async function topicSettings(cluster: Cluster, name: string): Promise<Settings> {
  try {
    return await settingsOf(cluster, undefined, ConfigResourceTypes.TOPIC, name)
  } catch (error) {
    return unreadable(error, `topic ${name}`)
  }
}

async function settingsOf(
  cluster: Cluster,
  broker: number | undefined,
  resourceType: 2 | 4,
  resourceName: string,
): Promise<Settings> {
  const connection = broker === undefined ? await cluster.any() : await cluster.node(broker, 'control')
  const { results } = await cluster.request(connection, describeConfigsV4.api, [{ resourceType, resourceName }])
  const values = new Map(results[0]?.configs.map(({ name, value }) => [name, value]))
  return { why: 'the broker does not name it', get: (name) => values.get(name) ?? undefined }
}

/** Settings that were not to be had. What cannot be reached at all is for the caller. */
function unreadable(error: unknown, what: string): Settings {
  const code = kafkaCodeOf(error)
  if (code === undefined) throw error
  const why = code.endsWith('_AUTHORIZATION_FAILED')
    ? `this user may not read the settings of ${what}; grant it DESCRIBE_CONFIGS`
    : `reading the settings of ${what} was refused (${code})`
  return { why, get: () => undefined }
}

/** The requests that the log makes, by the one version that it speaks. */
const spoken = [
  metadataV12,
  fetchV15,
  produceV9,
  initProducerIdV4,
  findCoordinatorV4,
  listOffsetsV7,
  createTopicsV7,
  describeConfigsV4,
]

async function versionOf(call: Call, cluster: Cluster): Promise<{ version: string; finding: Finding }> {
  const connection = await call.wait(cluster.any())
  const { apiKeys, finalizedFeatures } = await call.wait(cluster.request(connection, apiVersionsV3.api, 'atoll', '1'))
  const level = finalizedFeatures?.find(({ name }) => name === 'metadata.version')?.maxVersionLevel
  // Brokers do not tell their release, only this; it grows with each.
  const version = level === undefined ? 'unknown' : `metadata.version ${level}`
  const missing = spoken.filter(
    ({ api }) =>
      !apiKeys.some(
        ({ apiKey, minVersion, maxVersion }) =>
          apiKey === api.key && minVersion <= api.version && api.version <= maxVersion,
      ),
  )
  const name = 'kafka.version'
  if (missing.length === 0)
    return {
      version,
      finding: { name, value: version, verdict: 'holds', message: 'the broker takes every request that the log makes' },
    }
  const requests = missing.map(({ api }) => `${api.key} v${api.version}`).join(', ')
  return {
    version,
    finding: {
      name,
      value: version,
      verdict: 'breaks',
      message: `the broker does not take all requests that the log makes (${requests}); use Apache Kafka 3.6 or later`,
    },
  }
}
