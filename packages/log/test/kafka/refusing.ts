import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { onFrames } from './proxy.ts'

/** A broker that asks for credentials, and takes none. It speaks no more of Kafka than that. */
export async function startRefusing(): Promise<{ readonly port: number; close(): void }> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    onFrames(socket, (request) => {
      const body = answers[request.readInt16BE(4)]
      if (!body) return socket.destroy()
      const answer = Buffer.alloc(8 + body.length)
      answer.writeInt32BE(4 + body.length, 0)
      request.copy(answer, 4, 8, 12) // the number of the request
      body.copy(answer, 8)
      socket.write(answer)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // of a TCP server
  return { port, close: () => void server.close() }
}

/** By kind of request, what follows its number. */
const answers: Readonly<Record<number, Buffer>> = {
  // ApiVersions: UNSUPPORTED_VERSION, no versions, no delay
  18: Buffer.from([0, 35, 0, 0, 0, 0, 0, 0, 0, 0]),
  // SaslHandshake: no error, one mechanism
  17: Buffer.from([0, 0, 0, 0, 0, 1, 0, 5, ...Buffer.from('PLAIN')]),
  // SaslAuthenticate: no tags, SASL_AUTHENTICATION_FAILED, no message, no bytes, no session, no tags
  36: Buffer.from([0, 0, 58, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
}
