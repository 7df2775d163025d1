import { connect } from '@nats-io/transport-node'
import {
  jetstream,
  jetstreamManager,
  StorageType,
  type JetStreamClient,
  type JetStreamManager,
} from '@nats-io/jetstream'
import type { LogRecord } from '@atoll/log/driver'
import type { Raw, RawSource } from './raw.ts'

/**
 * A stream per source, a subject per partition. A batch is one atomic batch of a message per partition with its events
 * in lines, and so one fsync; a message per event would be an order of magnitude slower. What is read comes to an
 * ordered consumer.
 */
export async function createRawNats(url: string): Promise<Raw[]> {
  const connection = await connect({ servers: url })
  const js = jetstream(connection)
  const jsm = await jetstreamManager(connection)
  return [{ name: 'events in lines', begin: (source) => begin(js, jsm, source), close: () => connection.close() }]
}

async function begin(js: JetStreamClient, jsm: JetStreamManager, source: string): Promise<RawSource> {
  const stream = `raw-${source}`
  await jsm.streams.add({
    name: stream,
    subjects: [`${stream}.*`],
    storage: StorageType.File,
    allow_direct: true,
    allow_atomic: true,
  })
  return {
    async append(records) {
      const [last, ...others] = [...Map.groupBy(records, ({ partition }) => partition)].map(
        ([partition, events]) =>
          [`${stream}.${partition}`, events.map((event) => JSON.stringify(event)).join('\n')] as const,
      )
      const [first, ...rest] = others
      if (!last) return
      if (!first) return void (await js.publish(...last))
      const batch = await js.startBatch(...first)
      for (const message of rest) batch.add(...message)
      await batch.commit(...last)
    },
    async read(count) {
      const consumer = await js.consumers.get(stream)
      const messages = await consumer.consume({ max_messages: 1_000 })
      const events: LogRecord[] = []
      for await (const message of messages) {
        for (const line of message.string().split('\n')) events.push(JSON.parse(line) as LogRecord) // as written above
        if (events.length >= count) break
      }
      await messages.close()
      return events.length
    },
    end: async () => void (await jsm.streams.delete(stream)),
  }
}
