import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { until } from '@atoll/engines/waiting'
import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { createNatsLog } from '../../nats.ts'

const info = `INFO ${JSON.stringify({ server_id: 'a', version: '2.12.0', proto: 1, headers: true, max_payload: 1_048_576 })}\r\n`

describe('a log on NATS', () => {
  for (const [server, introduces] of [
    ['introduces itself late', (socket: Socket) => setTimeout(() => socket.write(info), 150)],
    ['says nothing', () => {}],
  ] as const) {
    it(`leaves no connection open to a server that ${server}, which would keep its process from ending`, async () => {
      const left = new Set<Socket>()
      let count = 0
      const listening = createServer((socket) => {
        count++
        left.add(socket)
        socket
          .on('error', () => {})
          .once('close', () => left.delete(socket))
          .resume()
        introduces(socket)
      }).listen(0, '127.0.0.1')
      await once(listening, 'listening')
      const { port } = listening.address() as AddressInfo // it listens on TCP
      const log = await createNatsLog({
        servers: `nats://127.0.0.1:${port}`,
        system: 'shop',
        host: createNodeHost(),
        logger: silentLogger,
        limits: { connectMs: 50, startMs: 50, reconnectMsMax: 20 },
      })
      while (count < 5) await once(listening, 'connection')
      await log.close()
      await until('every connection is closed', () => left.size === 0)
      listening.close()
    })
  }
})
