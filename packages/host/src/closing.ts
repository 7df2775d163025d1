import { once } from 'node:events'
import type { Server } from 'node:http'

/**
 * Prepares a server for its end. The function that it returns takes no more connections, lets requests under way be answered, `drainMs` at the most, and
 * resolves when every connection is closed. `closeIdleConnections` alone does not do: a connection on which nothing was ever asked, as browsers and
 * balancers open in advance, counts as busy there, and would hold up the end for all of that time.
 */
export function prepareToClose(server: Server): (drainMs: number) => Promise<void> {
  let underWay = 0
  let onQuiet = (): void => {}
  server.on('request', (_, response) => {
    underWay++
    response.once('close', () => {
      if (--underWay === 0) onQuiet()
    })
  })
  return async (drainMs) => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    onQuiet = () => server.closeAllConnections()
    const late = setTimeout(onQuiet, drainMs)
    if (underWay === 0) onQuiet()
    await closed
    clearTimeout(late)
  }
}
