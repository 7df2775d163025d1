import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** What stands between a client and a server. */
export interface Proxy {
  readonly port: number
  /** Connections stay open, new ones are taken, and nothing is passed on: as of a server that is gone without a word. */
  silence(): void
  /** Passes on what comes. What was held up is lost, with its connections. */
  pass(): void
  /** Tears every connection. */
  cut(): void
  close(): Promise<void>
}

export async function startProxy(target: { host: string; port: number }): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let silent = false
  const server = createServer((client) => {
    const upstream = connect(target)
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(from)
      from.on('data', (chunk) => to.write(chunk))
      from.on('error', () => {})
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      if (silent) from.pause()
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a server on a port has an address with a port')
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  return {
    port: address.port,
    silence() {
      silent = true
      for (const socket of sockets) socket.pause()
    },
    pass() {
      silent = false
      cut()
    },
    cut,
    async close() {
      server.close()
      cut()
      await once(server, 'close')
    },
  }
}
