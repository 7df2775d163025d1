import { createClient } from 'redis'
import { keepsItsPromises } from '../../test/promises.ts'

keepsItsPromises('redis', {
  add: (url) => use(url, async (client) => void (await client.xAdd('records', '*', { text: 'one' }))),
  count: (url) => use(url, (client) => client.xLen('records')),
})

// Its type depends on its options.
const clientOf = (url: string) => createClient({ url, socket: { reconnectStrategy: false } })

async function use<T>(url: string, work: (client: ReturnType<typeof clientOf>) => Promise<T>): Promise<T> {
  const client = clientOf(url)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.close()
  }
}
