import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * The sockets of a server on which a request was answered and no other one has begun. Only the parser of Node.js knows
 * whether part of a request has arrived, since it may have come in one packet with the request before. Node.js does not
 * tell what it knows, but it closes the connections on which no request has begun. `sockets` must be all that the
 * server has: this closes any other one.
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
