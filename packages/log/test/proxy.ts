import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** Stands between a client and an engine, and does what networks do. */
export interface Proxy {
  readonly port: number
  /** Breaks all connections, and refuses or accepts new ones as told. */
  cut(accepts: boolean): void
  /** From now on takes what it is sent, on old connections and new ones, and passes nothing on, in either direction. */
  silence(): void
  /** From now on passes on what clients send, and keeps every answer. */
  deafen(): void
  /**
   * Connects and passes on again; but connections that were silenced or deafened stay as they are for ever, unless
   * their client ends them.
   */
  heal(): void
  /** Breaks all connections as soon as clients have sent so many bytes more, which are passed on. */
  cutAfter(bytes: number): void
  close(): Promise<void>
}

export async function createProxy(target: { readonly host: string; readonly port: number }): Promise<Proxy> {
  const sockets = new Set<Socket>()
  const clientSide = new WeakSet<Socket>()
  const silenced = new WeakSet<Socket>()
  let isSilent = false
  let isDeaf = false
  let accepts = true
  let bytesLeft = Infinity

  function cutAll(): void {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }

  function join(from: Socket, to: Socket, isClient: boolean): void {
    sockets.add(from)
    from.on('error', () => {})
    from.on('close', () => {
      sockets.delete(from)
      if (!silenced.has(from) || isClient) to.destroy()
    })
    from.on('data', (chunk: Buffer) => {
      if (silenced.has(from)) return
      if (!isClient || chunk.length < bytesLeft) {
        if (isClient) bytesLeft -= chunk.length
        to.write(chunk)
        return
      }
      const part = chunk.subarray(0, bytesLeft)
      bytesLeft = Infinity
      to.write(part, () => cutAll())
    })
  }

  const server = createServer((client) => {
    if (!accepts) return void client.destroy()
    const engine = connect(target.port, target.host)
    join(client, engine, true)
    join(engine, client, false)
    if (isSilent) silenced.add(client).add(engine)
    if (isDeaf) silenced.add(engine)
    clientSide.add(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    port: (server.address() as AddressInfo).port, // it listens on a port, not on a path
    cut(acceptsNew) {
      accepts = acceptsNew
      cutAll()
    },
    silence() {
      isSilent = true
      for (const socket of sockets) silenced.add(socket)
    },
    deafen() {
      isDeaf = true
      for (const socket of sockets) if (!clientSide.has(socket)) silenced.add(socket)
    },
    heal() {
      isDeaf = false
      isSilent = false
      accepts = true
    },
    cutAfter(bytes) {
      bytesLeft = bytes
    },
    async close() {
      cutAll()
      server.close()
    },
  }
}
