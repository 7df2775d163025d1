import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Examination, Finding } from '@atoll/host'
import { judge, type Settings, type TopicView } from './findings.ts'
import { defaultLimits } from './limits.ts'
import { topicConfigs } from './topics.ts'

const brokerDefaults = {
  'auto.create.topics.enable': 'false',
  'transaction.state.log.replication.factor': '3',
  'transactional.id.expiration.ms': '604800000',
  'producer.id.expiration.ms': '86400000',
}

function settings(values: Readonly<Record<string, string>>): Settings {
  return { get: (name) => values[name], why: 'this user may not read it' }
}

/** What is found of so many brokers with one topic, as the log would make it but for `changes`. */
function examine(
  brokers: number,
  topic: Partial<TopicView> = {},
  changes: Readonly<Record<string, string>> = {},
  ofBroker: Readonly<Record<string, string>> = {},
): Pick<Examination, 'findings' | 'survives'> {
  const replicas = topic.replicas ?? Math.min(brokers, 3)
  const configs = {
    'unclean.leader.election.enable': 'false',
    'flush.messages': '9223372036854775807',
    ...topicConfigs(replicas, defaultLimits),
    ...changes,
  }
  return judge({
    brokers: Array.from({ length: brokers }, (_, index) => ({
      id: index + 1,
      settings: settings({ ...brokerDefaults, ...ofBroker }),
    })),
    topics: [{ name: 'shop.orders', isThere: true, partitions: 16, replicas, settings: settings(configs), ...topic }],
    shape: { partitions: 16, replicas },
    limits: defaultLimits,
    isTransactionLogThere: false,
  })
}

function verdict({ findings }: { findings: readonly Finding[] }, name: string): Finding['verdict'] | undefined {
  return findings.find((finding) => finding.name === name)?.verdict
}

describe('the examination of Kafka', () => {
  it('finds nothing to say against three brokers and topics that the log made', () => {
    const examination = examine(3)
    assert.deepEqual(
      examination.findings.filter(({ verdict }) => verdict === 'breaks' || verdict === 'unknown'),
      [],
    )
    assert.deepEqual(examination.survives, {
      'process kill': true,
      'OS crash': true,
      'power loss': false,
      'loss of a node': true,
    })
  })

  it('names one replica among several brokers, and acknowledgement by one of several', () => {
    const single = examine(3, { replicas: 1 })
    assert.equal(verdict(single, 'kafka.replication-factor'), 'breaks')
    assert.equal(verdict(single, 'kafka.min-insync-replicas'), 'breaks')
    assert.equal(single.survives['loss of a node'], false)
    const lax = examine(3, {}, { 'min.insync.replicas': '1' })
    assert.equal(verdict(lax, 'kafka.min-insync-replicas'), 'breaks')
    assert.deepEqual([lax.survives['loss of a node'], lax.survives['OS crash']], [false, false])
  })

  it('names more replicas in sync than there are, and says what two of two mean', () => {
    assert.equal(
      verdict(examine(3, { replicas: 2 }, { 'min.insync.replicas': '3' }), 'kafka.min-insync-replicas'),
      'breaks',
    )
    assert.equal(verdict(examine(3, { replicas: 2 }), 'kafka.min-insync-replicas'), 'note')
  })

  it('names elections of leaders that lag behind', () => {
    const unclean = examine(3, {}, { 'unclean.leader.election.enable': 'true' })
    assert.equal(verdict(unclean, 'kafka.unclean-leader-election'), 'breaks')
    assert.equal(unclean.survives['loss of a node'], false)
  })

  it('wants a single replica on the disk, and says what many in memory mean', () => {
    assert.equal(
      verdict(
        examine(1, {}, { 'flush.messages': '10000' }, { 'transaction.state.log.replication.factor': '1' }),
        'kafka.log-flush-interval-messages',
      ),
      'breaks',
    )
    assert.equal(verdict(examine(3), 'kafka.log-flush-interval-messages'), 'note')
    assert.equal(examine(3, {}, { 'flush.messages': '1' }).survives['power loss'], true)
  })

  it('names a cluster on which nobody could claim to write', () => {
    assert.equal(verdict(examine(1), 'kafka.transaction-log-replicas'), 'breaks')
    assert.equal(
      verdict(examine(3, {}, {}, { 'transactional.id.expiration.ms': '3600000' }), 'kafka.transactional-id-expiration'),
      'breaks',
    )
  })

  it('says what it was not told, and why, and counts on nothing that it does not know', () => {
    const closed = examine(3, {
      settings: {
        get: () => undefined,
        why: 'this user may not read the settings of topic shop.orders; grant it DESCRIBE_CONFIGS',
      },
    })
    const finding = closed.findings.find(({ name }) => name === 'kafka.min-insync-replicas')
    assert.equal(finding?.verdict, 'unknown')
    assert.match(finding.message, /min\.insync\.replicas could not be read: .*DESCRIBE_CONFIGS/)
    assert.equal(verdict(closed, 'kafka.message-timestamp-type'), 'note') // no promise hangs on it
    assert.deepEqual(closed.survives, {
      'process kill': true,
      'OS crash': false,
      'power loss': false,
      'loss of a node': false,
    })
  })
})
