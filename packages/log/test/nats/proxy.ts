import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A network between a log and its server that fails when it is told to. */
export interface Proxy {
  readonly url: string
  /** How many connections it has accepted in all. */
  readonly accepted: number
  /** How many of them are open. */
  readonly open: number
  /** From now on connections are accepted and stay open, and nothing goes through; what is under way is lost. */
  silence(): void
  /** From now on what the server says is lost, and what is said to it arrives. */
  loseAnswers(): void
  /** After so many more bytes to the server, connections break. */
  cutAfter(bytes: number): void
  /** Breaks all connections; new ones are as good as ever. */
  heal(): void
  close(): Promise<void>
}

export async function createProxy(target: string): Promise<Proxy> {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  const clients = new Set<Socket>()
  let accepted = 0
  let isSilent = false
  let losesAnswers = false
  let bytesLeft = Infinity

  const server = createServer((client) => {
    accepted++
    sockets.add(client)
    clients.add(client)
    client.on('error', () => undefined).on('close', () => (sockets.delete(client), clients.delete(client)))
    if (isSilent) return void client.resume()
    const upstream = connect(Number(port), hostname)
    sockets.add(upstream)
    upstream.on('error', () => client.destroy()).on('close', () => (sockets.delete(upstream), client.destroy()))
    client.on('close', () => upstream.destroy())
    client.on('data', (bytes: Buffer) => {
      if (isSilent) return
      upstream.write(bytes.subarray(0, bytesLeft))
      bytesLeft -= bytes.length
      if (bytesLeft > 0) return
      client.destroy()
      upstream.end()
    })
    upstream.on('data', (bytes) => {
      if (!isSilent && !losesAnswers) client.write(bytes)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  function cut(): void {
    for (const socket of sockets) socket.destroy()
  }

  return {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`, // it listens on TCP
    get accepted() {
      return accepted
    },
    get open() {
      return clients.size
    },
    silence: () => void (isSilent = true),
    loseAnswers: () => void (losesAnswers = true),
    cutAfter: (bytes) => void (bytesLeft = bytes),
    heal() {
      isSilent = losesAnswers = false
      bytesLeft = Infinity
      cut()
    },
    async close() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
