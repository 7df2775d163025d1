import type { Host } from '@atoll/host'
import type { ConfirmChannel } from 'amqplib'
import type { WriterConnection } from './client.ts'
import { codeOf } from './errors.ts'
import { toBody } from './format.ts'

/**
 * Writes a message without records to a stream: what RabbitMQ had confirmed before, lies before it, on whatever replica
 * it shows. Nothing else tells over AMQP whether a replica has caught up. Resolves with the id of the message when it
 * is confirmed. Undefined if there is no such stream, and if nothing can be written to it now: this user may not, or
 * RabbitMQ is short of disk or memory.
 */
export async function writeMark(stream: string, connection: WriterConnection, host: Host): Promise<string | undefined> {
  const messageId = host.hex(12)
  let opened: ConfirmChannel | undefined
  try {
    return await connection.call(async (writer) => {
      if (writer.blocked !== undefined) return undefined
      const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
      const refuse = (): void => resolve(undefined)
      // A channel of its own, because RabbitMQ closes it if this user may not.
      const channel = (opened = await writer.model.createConfirmChannel())
      channel.on('error', reject).on('return', refuse)
      writer.onBlocked.add(refuse)
      channel.publish(
        '',
        stream,
        toBody([]),
        { mandatory: true, persistent: true, messageId, contentType: 'application/json', type: 'atoll.mark' },
        (error: unknown) => (error ? reject(error) : resolve(messageId)),
      )
      return promise.finally(() => writer.onBlocked.delete(refuse))
    })
  } catch (error) {
    if (codeOf(error) === 403) return undefined
    throw error
  } finally {
    void close(opened)
  }
}

/** It may have ended by itself, of which the library makes an error. */
async function close(channel: ConfirmChannel | undefined): Promise<void> {
  try {
    await channel?.close()
  } catch {
    // so it has
  }
}
