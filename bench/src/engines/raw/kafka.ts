import { Admin, Consumer, Producer, type KafkaRecord, type MessageToProduce } from '@platformatic/kafka'
import type { LogRecord } from '@atoll/log/driver'
import { PARTITIONS } from '../logs.ts'
import type { Raw, RawSource } from './raw.ts'

/**
 * A topic per source, made as the log makes it: with one broker, a batch is acknowledged when it is on disk. Each batch
 * is one request.
 */
export async function createRawKafka(url: string): Promise<Raw[]> {
  const options = { clientId: 'raw', bootstrapBrokers: [new URL(url).host] }
  const admin = new Admin(options)
  const producer = new Producer({ ...options, acks: -1, idempotent: true })
  const consumer = new Consumer({ ...options, groupId: 'raw' })
  return [
    {
      name: 'a message per event',
      begin: (source) => begin(admin, producer, consumer, `raw-${source}`),
      async close() {
        await consumer.close(true)
        await producer.close()
        await admin.close()
      },
    },
  ]
}

async function begin(admin: Admin, producer: Producer, consumer: Consumer, topic: string): Promise<RawSource> {
  const configs = [{ name: 'flush.messages', value: '1' }]
  const [created] = await admin.createTopics({ topics: [topic], partitions: PARTITIONS, replicas: 1, configs })
  const topicId = created!.id // of the one topic that was asked for
  consumer.topics.track(topic)
  const metadata = await consumer.metadata({ topics: [topic], forceUpdate: true })
  const node = metadata.topics.get(topic)!.partitions[0]!.leader
  return {
    async append(records) {
      await producer.send({ messages: records.map((record) => toMessage(topic, record)) })
    },
    async read(count) {
      const next = Array.from({ length: PARTITIONS }, () => 0n)
      let events = 0
      while (events < count) {
        const partitions = next.map((fetchOffset, partition) => ({
          partition,
          fetchOffset,
          currentLeaderEpoch: -1,
          lastFetchedEpoch: -1,
          partitionMaxBytes: 1024 * 1024,
        }))
        const { responses } = await consumer.fetch({
          node,
          topics: [{ topicId, partitions }],
          maxWaitTime: 1_000,
          minBytes: 1,
          maxBytes: 10 * 1024 * 1024,
        })
        for (const { partitionIndex, records } of responses.flatMap((response) => response.partitions)) {
          for (const batch of records ?? []) {
            for (const record of batch.records) {
              const offset = batch.firstOffset + BigInt(record.offsetDelta)
              if (offset < next[partitionIndex]!) continue // a batch comes whole
              toRecord(partitionIndex, Number(batch.firstTimestamp + record.timestampDelta), record)
              next[partitionIndex] = offset + 1n
              events++
            }
          }
        }
      }
      return events
    },
    async end() {
      consumer.topics.untrack(topic)
      await admin.deleteTopics({ topics: [topic] })
    },
  }
}

const names = ['number', 'order', 'id', 'type', 'version', 'trace', 'cause'] as const
const keys = names.map((name) => Buffer.from(name))

function toMessage(topic: string, record: LogRecord): MessageToProduce {
  const headers = new Map(names.map((name, index) => [keys[index]!, Buffer.from(String(record[name]))]))
  return {
    topic,
    partition: record.partition,
    key: Buffer.from(record.key),
    value: Buffer.from(record.data),
    headers,
    timestamp: BigInt(record.at),
  }
}

function toRecord(partition: number, at: number, { key, value, headers }: KafkaRecord): LogRecord {
  const [number, order, id, type, version, trace, cause] = headers.map(([, text]) => String(text)) // as written above
  return {
    partition,
    number: Number(number),
    order: order!,
    id: id!,
    type: type!,
    version: Number(version),
    key: String(key),
    at,
    data: String(value),
    trace: trace!,
    cause: cause!,
  }
}
