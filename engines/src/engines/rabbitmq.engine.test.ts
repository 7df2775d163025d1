import { connect, type ConfirmChannel } from 'amqplib'
import { keepsItsPromises } from '../../test/promises.ts'
import { until } from '../waiting.ts'

keepsItsPromises('rabbitmq', {
  add: (url) => use(url, (channel) => send(channel, 'one')),

  // A stream does not say how long it is. So its records are those before one that was sent last.
  count: (url) =>
    use(url, async (channel) => {
      const end = crypto.randomUUID()
      await send(channel, end)
      await channel.prefetch(100)
      let records = 0
      const all = Promise.withResolvers<number>()
      const arrive = (text: string): void =>
        text === end ? all.resolve(records) : void (records += text === 'one' ? 1 : 0)
      await channel.consume(
        'records',
        (message) =>
          message
            ? (arrive(message.content.toString()), channel.ack(message))
            : all.reject(new Error('the stream ended')),
        { arguments: { 'x-stream-offset': 'first' } },
      )
      return all.promise
    }),
})

async function send(channel: ConfirmChannel, text: string): Promise<void> {
  channel.sendToQueue('records', Buffer.from(text))
  await channel.waitForConfirms()
}

/**
 * Works on a channel, once the stream is there: for a moment after a restart RabbitMQ answers, and has not found its
 * streams yet.
 */
async function use<T>(url: string, work: (channel: ConfirmChannel) => Promise<T>): Promise<T> {
  let result: { of: T } | undefined
  await until('the stream is there', async () => {
    const connection = await connect(url.replace('rabbitmq:', 'amqp:'))
    try {
      const channel = await connection.createConfirmChannel()
      channel.on('error', () => {}) // whoever waits for an answer has it
      await channel.assertQueue('records', { durable: true, arguments: { 'x-queue-type': 'stream' } })
      result = { of: await work(channel) }
      return true
    } finally {
      await connection.close()
    }
  })
  return result!.of
}
