import { connect, type ConfirmChannel, type ChannelModel } from 'amqplib'
import type { LogRecord } from '@atoll/log/driver'
import { PARTITIONS } from '../logs.ts'
import type { Raw, RawSource } from './raw.ts'

/**
 * A stream per source and partition; a batch is a message per partition with its events in lines, each confirmed. What
 * is read comes to a consumer of each stream.
 */
export async function createRawRabbitmq(url: string): Promise<Raw[]> {
  const connection = await connect(url.replace(/^rabbitmq:/, 'amqp:').replace(/\?.*$/, ''))
  const channel = await connection.createConfirmChannel()
  return [
    { name: 'events in lines', begin: (source) => begin(connection, channel, source), close: () => connection.close() },
  ]
}

async function begin(connection: ChannelModel, channel: ConfirmChannel, source: string): Promise<RawSource> {
  const streams = Array.from({ length: PARTITIONS }, (_, partition) => `raw-${source}-${partition}`)
  for (const stream of streams)
    await channel.assertQueue(stream, { durable: true, arguments: { 'x-queue-type': 'stream' } })
  return {
    async append(records) {
      for (const [partition, events] of Map.groupBy(records, ({ partition }) => partition)) {
        channel.sendToQueue(streams[partition]!, Buffer.from(events.map((event) => JSON.stringify(event)).join('\n')), {
          persistent: true,
        })
      }
      await channel.waitForConfirms()
    },
    async read(count) {
      const reading = await connection.createChannel()
      await reading.prefetch(100)
      const events: LogRecord[] = []
      await new Promise<void>((resolve, reject) => {
        const take = (message: { content: Buffer } | null): void => {
          for (const line of (message?.content.toString() ?? '').split('\n'))
            if (line !== '') events.push(JSON.parse(line) as LogRecord) // as written above
          if (events.length >= count) resolve()
        }
        for (const stream of streams) {
          reading
            .consume(
              stream,
              (message) => {
                take(message)
                if (message) reading.ack(message)
              },
              { arguments: { 'x-stream-offset': 'first' } },
            )
            .catch(reject)
        }
      })
      await reading.close()
      return events.length
    },
    async end() {
      for (const stream of streams) await channel.deleteQueue(stream)
    },
  }
}
