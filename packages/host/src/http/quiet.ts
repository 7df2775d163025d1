import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Those of a server's sockets on which a request was answered and no other one has begun. That part of a request has come, only the parser of Node.js
 * knows: it may have come in one packet with the request before. Node.js does not say what it knows; it closes the connections on which none has begun.
 * So `sockets` must be all that the server has: of any other, this would be the end.
 */
export function findQuiet(server: Server, sockets: Iterable<Socket>): Set<Socket> {
  const all = [...sockets]
  const quiet = new Set<Socket>()
  for (const socket of all) socket.destroy = () => (quiet.add(socket), socket)
  try {
    server.closeIdleConnections()
  } finally {
    for (const socket of all) Reflect.deleteProperty(socket, 'destroy') // the method of its class is there again
  }
  return quiet
}
