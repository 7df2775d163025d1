import type { Examination, Finding } from '@atoll/host'
import { batchBytesMaxOf, type KafkaLogLimits } from './limits.ts'
import type { TopicShape } from './topics.ts'

/** Settings as a broker gave them. */
export interface Settings {
  get(name: string): string | undefined
  /** Why one is undefined. */
  readonly why: string
}

export interface BrokerView {
  readonly id: number
  readonly settings: Settings
}

export interface TopicView {
  readonly name: string
  /** Else it is what topics will be like. */
  readonly isThere: boolean
  readonly partitions: number
  /** Of the partition that has the fewest. */
  readonly replicas: number
  readonly settings: Settings
}

export interface Seen {
  readonly brokers: readonly BrokerView[]
  readonly topics: readonly TopicView[]
  readonly shape: TopicShape
  readonly limits: KafkaLogLimits
  readonly isTransactionLogThere: boolean
}

/** What was seen, setting by setting, and what follows for what was acknowledged. */
export function judge(seen: Seen): Pick<Examination, 'findings' | 'survives'> {
  const { topics, brokers, limits } = seen
  const isSingle = brokers.length === 1 && topics.every((topic) => topic.replicas === 1)
  const replicas = Math.min(...topics.map((topic) => topic.replicas))
  const inSync = numbers(topics, 'min.insync.replicas')
  const unclean = topics.map(({ settings }) => settings.get('unclean.leader.election.enable'))
  const flushes = topics.map(({ settings }) => settings.get('flush.messages'))
  const isFlushed = flushes.every((value) => value === '1')
  const isReplicated =
    replicas >= 2 &&
    inSync.every((count) => count !== undefined && count >= 2) &&
    unclean.every((value) => value === 'false')

  const findings: Finding[] = [
    {
      name: 'kafka.replication-factor',
      value: list(topics, (topic) => String(topic.replicas)),
      ...(replicas > 1
        ? holds('a record lies on several brokers')
        : isSingle
          ? note('there is one broker: what it loses is lost')
          : breaks(
              'there are several brokers, and a record lies on one: when it is lost, what it acknowledged is lost. Raise the replication factor of the topics, and `log.replicas`',
            )),
    },
    byTopic(topics, 'kafka.min-insync-replicas', 'min.insync.replicas', (value, topic) => {
      if (Number(value) > topic.replicas)
        return breaks(
          `more replicas must be in sync than there are: nothing can be appended. Set it to at most ${topic.replicas}`,
        )
      if (Number(value) >= 2)
        return Number(value) < topic.replicas
          ? holds('a record is acknowledged when several brokers have it')
          : note('a record is acknowledged when all its brokers have it; when one of them is down, nothing is')
      return isSingle
        ? note('there is one broker to have a record')
        : breaks(
            'a record may be acknowledged when only one broker has it, and be lost with it; set min.insync.replicas of the topics to 2, with 3 replicas',
          )
    }),
    byTopic(topics, 'kafka.unclean-leader-election', 'unclean.leader.election.enable', (value, topic) => {
      if (value === 'false') return holds('a replica that lags behind does not become leader')
      return topic.replicas === 1
        ? note('there is no other replica that could become leader')
        : breaks(
            'a replica that lags behind may become leader, and what it does not have is lost though it was acknowledged; set it to false',
          )
    }),
    byTopic(topics, 'kafka.log-flush-interval-messages', 'flush.messages', (value, topic) => {
      if (value === '1') return holds('a record is on the disk before it is acknowledged')
      if (topic.replicas > 1)
        return note(
          'a record is acknowledged from the memory of several brokers; it is lost if they lose power at the same time. Keep them apart, or set log.flush.interval.messages to 1',
        )
      return breaks(
        'a record is acknowledged before it is on the disk, and no other broker has it: an operating system that crashes, or power that fails, takes it along. Set log.flush.interval.messages, or flush.messages of the topics, to 1',
      )
    }),
    byTopic(topics, 'kafka.retention-ms', 'retention.ms', (value) =>
      value === '-1'
        ? holds('records do not expire')
        : breaks('records expire, also those that somebody has not read yet; set retention.ms of the topics to -1'),
    ),
    byTopic(topics, 'kafka.retention-bytes', 'retention.bytes', (value) =>
      value === '-1'
        ? holds('records are not deleted for want of room')
        : breaks(
            'the oldest records are deleted when a partition grows beyond this, also those that somebody has not read yet; set retention.bytes of the topics to -1',
          ),
    ),
    byTopic(topics, 'kafka.cleanup-policy', 'cleanup.policy', (value) =>
      value === 'delete'
        ? holds('records are not thinned out')
        : breaks(
            'of records with one key only the last is kept: events vanish. Set cleanup.policy of the topics to delete',
          ),
    ),
    byTopic(topics, 'kafka.max-message-bytes', 'max.message.bytes', (value) =>
      Number(value) >= batchBytesMaxOf(limits)
        ? holds('batches of the size that the log writes are taken')
        : breaks(
            `batches of up to ${batchBytesMaxOf(limits)} bytes are written, and refused: the relay would be halted. Raise max.message.bytes of the topics, or lower dataBytesMax`,
          ),
    ),
    noteworthy(
      byTopic(topics, 'kafka.message-timestamp-type', 'message.timestamp.type', (value) =>
        value === 'CreateTime'
          ? holds('a record keeps the time at which it was emitted')
          : note(
              'records show when the broker took them, not when they were emitted; set message.timestamp.type of the topics to CreateTime',
            ),
      ),
    ),
    partitionsOf(seen),
    ...brokerFindings(seen),
  ]
  return {
    findings,
    survives: {
      'process kill': true,
      'OS crash': isFlushed || isReplicated,
      'power loss': isFlushed,
      'loss of a node': isReplicated,
    },
  }
}

function partitionsOf({ topics, shape }: Seen): Finding {
  const name = 'kafka.partitions'
  const value = list(topics, ({ partitions }) => String(partitions))
  const others = topics.filter(({ partitions }) => partitions !== shape.partitions)
  if (others.length === 0) return { name, value, ...holds('topics have as many partitions as the log is opened with') }
  return {
    name,
    value,
    ...breaks(
      `the log is opened with ${shape.partitions} partitions, and appends to ${others.map((topic) => topic.name).join(', ')} are refused: keys would move to other partitions, and their order be lost. Open it with as many as there are`,
    ),
  }
}

function brokerFindings({ brokers, limits, isTransactionLogThere }: Seen): Finding[] {
  const count = brokers.length
  return [
    noteworthy(
      byBroker(brokers, 'kafka.auto-create-topics', 'auto.create.topics.enable', (value) =>
        value === 'false'
          ? holds('topics are made by who means to')
          : note('anybody who asks for a topic makes it, and with settings by which records expire; set it to false'),
      ),
    ),
    byBroker(brokers, 'kafka.transaction-log-replicas', 'transaction.state.log.replication.factor', (value) => {
      if (Number(value) > count && !isTransactionLogThere)
        return breaks(
          `there are ${count} brokers, so Kafka cannot make the topic in which it notes who may write, and nothing can be appended; set it to at most ${count}`,
        )
      return Number(value) > 1 || count === 1
        ? holds('who may write is noted on as many brokers as there should be')
        : note('who may write is noted on one broker: while it is down, new writers wait')
    }),
    byBroker(brokers, 'kafka.transactional-id-expiration', 'transactional.id.expiration.ms', (value) =>
      atLeastClaim(value, limits),
    ),
    byBroker(brokers, 'kafka.producer-id-expiration', 'producer.id.expiration.ms', (value) =>
      atLeastClaim(value, limits),
    ),
  ]
}

function atLeastClaim(value: string, { claimMs }: KafkaLogLimits): Verdict {
  if (Number(value) > claimMs) return holds('who may write is not forgotten before it is claimed anew')
  return breaks(
    `Kafka forgets who may write before it is claimed anew (claimMs, ${claimMs}), and would take records of a writer that was paused; raise it above that`,
  )
}

type Verdict = Pick<Finding, 'verdict' | 'message'>

const holds = (message: string): Verdict => ({ verdict: 'holds', message })
const note = (message: string): Verdict => ({ verdict: 'note', message })
const breaks = (message: string): Verdict => ({ verdict: 'breaks', message })

/** Of what no promise hangs on: nobody need be warned when it is not told. */
function noteworthy(finding: Finding): Finding {
  return finding.verdict === 'unknown' ? { ...finding, verdict: 'note' } : finding
}

/** The worst that one setting comes to among topics. */
function byTopic(
  topics: readonly TopicView[],
  name: string,
  setting: string,
  verdictOf: (value: string, topic: TopicView) => Verdict,
): Finding {
  const verdicts = topics.map((topic) => verdict(setting, topic.settings, (value) => verdictOf(value, topic)))
  return { name, value: list(topics, ({ settings }) => settings.get(setting) ?? 'not told'), ...worst(verdicts) }
}

/** The worst that one setting comes to among brokers. */
function byBroker(
  brokers: readonly BrokerView[],
  name: string,
  setting: string,
  verdictOf: (value: string) => Verdict,
): Finding {
  const views = brokers.map(({ id, settings }) => ({ name: `broker ${id}`, settings }))
  return {
    name,
    value: list(views, ({ settings }) => settings.get(setting) ?? 'not told'),
    ...worst(views.map(({ settings }) => verdict(setting, settings, verdictOf))),
  }
}

function verdict(setting: string, settings: Settings, verdictOf: (value: string) => Verdict): Verdict {
  const value = settings.get(setting)
  return value === undefined
    ? { verdict: 'unknown', message: `${setting} could not be read: ${settings.why}` }
    : verdictOf(value)
}

const severity = ['breaks', 'unknown', 'note', 'holds'] as const

function worst(verdicts: readonly Verdict[]): Verdict {
  const found = verdicts.toSorted((a, b) => severity.indexOf(a.verdict) - severity.indexOf(b.verdict))[0]
  return found ?? { verdict: 'unknown', message: 'no broker was found' }
}

/** One value if all have the same; else each with whom it is of. */
function list<T extends { readonly name: string }>(views: readonly T[], valueOf: (view: T) => string): string {
  const values = new Set(views.map(valueOf))
  if (values.size <= 1) return [...values][0] ?? 'not told'
  return views.map((view) => `${view.name}: ${valueOf(view)}`).join(', ')
}

function numbers(topics: readonly TopicView[], setting: string): (number | undefined)[] {
  return topics.map(({ settings }) => (settings.get(setting) === undefined ? undefined : Number(settings.get(setting))))
}
