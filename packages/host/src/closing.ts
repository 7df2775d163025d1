import { once } from 'node:events'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Prepares a server for its end. The function that it returns takes no more connections, lets requests under way be answered, `drainMs` at the most, and
 * resolves when every connection is closed. `closeIdleConnections` alone does not do: a connection on which nothing was ever asked, as browsers and
 * balancers open in advance, counts as busy there, and would hold up the end for all of that time.
 */
export function prepareToClose(server: Server): (drainMs: number) => Promise<void> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('request', (_, response) => {
    response.once('close', () => {
      if (!server.listening) server.closeIdleConnections()
    })
  })
  return async (drainMs) => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close() // and what is idle
    const late = setTimeout(() => server.closeAllConnections(), drainMs)
    setImmediate(() => {
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy() // what had come by then has been read
    })
    await closed
    clearTimeout(late)
  }
}
