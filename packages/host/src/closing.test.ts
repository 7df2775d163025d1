import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { prepareToClose } from './closing.ts'

/** Far longer than a test may take. */
const HOUR_MS = 3_600_000

async function inServer(work: (server: { close: (drainMs: number) => Promise<void>; connect(): Promise<Socket>; asked(): Promise<ServerResponse> }) => Promise<void>): Promise<void> {
  const server: Server = createServer()
  const close = prepareToClose(server)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo // it listens on TCP
  try {
    await work({
      close,
      async connect() {
        const accepted = once(server, 'connection')
        const socket = connect(port, '127.0.0.1')
        await accepted
        return socket
      },
      asked: async () => ((await once(server, 'request')) as [unknown, ServerResponse])[1],
    })
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

describe('a server that is closed', () => {
  it('is so at once where nothing was ever asked on any connection', () =>
    inServer(async ({ close, connect }) => {
      const socket = await connect()
      const ended = once(socket.resume(), 'close')
      await close(HOUR_MS)
      await ended
    }))

  it('answers what is under way first, also after one that asked nothing', () =>
    inServer(async ({ close, connect, asked }) => {
      await connect()
      const socket = await connect()
      let text = ''
      socket.setEncoding('utf8').on('data', (part: string) => (text += part))
      const request = asked()
      socket.write('GET / HTTP/1.1\r\nhost: here\r\n\r\n')
      const response = await request
      const closed = close(HOUR_MS)
      response.end('the answer')
      await closed
      await once(socket, 'close')
      assert.match(text, /the answer/)
    }))

  it('answers a request of which the beginning has come', () =>
    inServer(async ({ close, connect, asked }) => {
      const socket = await connect()
      let text = ''
      socket.setEncoding('utf8').on('data', (part: string) => (text += part))
      const ended = once(socket, 'close')
      const first = asked()
      socket.write('GET / HTTP/1.1\r\nhost: here\r\n\r\nGET /second HTTP/1.1\r\nhost:') // the second one has begun when the first is there
      const response = await first
      const second = asked()
      const closed = close(HOUR_MS)
      response.end('one')
      socket.write(' here\r\n\r\n')
      ;(await second).end('two')
      await closed
      await ended
      assert.match(text, /one[^]*two/)
    }))

  it('cuts off what is not answered in time', () =>
    inServer(async ({ close, connect, asked }) => {
      const socket = await connect()
      const request = asked()
      socket.write('GET / HTTP/1.1\r\nhost: here\r\n\r\n')
      await request
      const ended = once(socket.resume().on('error', () => {}), 'close')
      await close(1)
      await ended
    }))
})
