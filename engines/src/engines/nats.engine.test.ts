import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { keepsItsPromises } from '../../test/promises.ts'

keepsItsPromises('nats', {
  add: (url) =>
    use(url, async (connection) => {
      const manager = await jetstreamManager(connection)
      await manager.streams.add({ name: 'records', subjects: ['records'] })
      await jetstream(connection).publish('records', 'one')
    }),
  count: (url) =>
    use(url, async (connection) => (await (await jetstreamManager(connection)).streams.info('records')).state.messages),
})

async function use<T>(url: string, work: (connection: NatsConnection) => Promise<T>): Promise<T> {
  const connection = await connect({ servers: url, reconnect: false })
  try {
    return await work(connection)
  } finally {
    await connection.close()
  }
}
