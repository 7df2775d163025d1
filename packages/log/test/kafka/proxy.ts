import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** What becomes of a request that a client made. */
export type Fate = 'pass' | 'cut before' | 'cut after' | 'hold'

/**
 * Stands between a log and a broker. It speaks enough of Kafka's framing to put its own address in the place of the
 * broker's, so that a client that learns where the brokers are comes back to it; and to let single requests meet a fate
 * of their own.
 */
export class KafkaProxy {
  readonly #target: { readonly host: string; readonly port: number }
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #port = 0
  #mode: 'pass' | 'silence' | 'lose answers' = 'pass'
  /** Connections that lost something: they pass nothing on any more. */
  readonly #lost = new WeakSet<Socket>()
  #bytesLeft = Infinity
  /** Decides about each request by its kind: 0 is a produce, 1 a fetch. */
  fateOf: (kind: number) => Fate = () => 'pass'
  /** Requests that are held, to be sent on after all. */
  readonly held: (() => void)[] = []

  constructor(target: { host: string; port: number }) {
    this.#target = target
  }

  get broker(): string {
    return `127.0.0.1:${this.#port}`
  }

  /** Listens; on the same port each time. */
  async listen(): Promise<void> {
    const server = createServer((client) => this.#serve(client))
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#server = server
    this.#port = (server.address() as AddressInfo).port // of a TCP server
  }

  /** Refuses connections, and tears those there are. */
  async refuse(): Promise<void> {
    this.tear()
    if (!this.#server) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server = undefined
    await closed
  }

  tear(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Takes connections, passes nothing on and answers nothing. */
  silence(): void {
    this.#lose('silence')
  }

  /** Passes on what clients send, and loses what the broker answers. */
  loseAnswers(): void {
    this.#lose('lose answers')
  }

  /** Those that were silent stay so, as half-open ones do; new ones pass. */
  speak(): void {
    this.#mode = 'pass'
  }

  /** Tears all connections when clients have sent so many bytes more. */
  resetAfter(bytes: number): void {
    this.#bytesLeft = bytes
  }

  #lose(mode: 'silence' | 'lose answers'): void {
    this.#mode = mode
    for (const socket of this.#sockets) this.#lost.add(socket)
  }

  #serve(client: Socket): void {
    this.#keep(client)
    if (this.#mode !== 'pass') this.#lost.add(client)
    if (this.#mode === 'silence') return
    const broker = connect(this.#target)
    this.#keep(broker)
    broker.on('close', () => client.destroy())
    let isLate = false
    client.on('close', () => void (isLate || broker.destroy()))
    onFrames(client, (frame) => {
      if (this.#mode === 'silence' || (this.#mode === 'pass' && this.#lost.has(client))) return
      if (frame.length >= this.#bytesLeft) {
        broker.write(frame.subarray(0, this.#bytesLeft), () => this.tear())
        this.#bytesLeft = Infinity
        return
      }
      this.#bytesLeft -= frame.length
      const fate = this.fateOf(frame.readInt16BE(4))
      if (fate === 'hold') {
        isLate = true // its client may be gone by then, as far as the client knows
        this.held.push(() => broker.write(frame))
        return
      }
      if (fate !== 'cut before') broker.write(frame)
      if (fate === 'cut after') {
        isLate = true
        broker.once('data', () => client.destroy())
      }
      if (fate === 'cut before') client.destroy()
      if (fate === 'cut after') client.removeAllListeners('data')
    })
    onFrames(broker, (frame) => {
      if (!this.#lost.has(client) && !client.destroyed && !isLate) client.write(this.#withOurs(frame))
    })
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#sockets.delete(socket))
  }

  /** The frame with our port where the broker's follows its host. */
  #withOurs(frame: Buffer): Buffer {
    const pattern = Buffer.alloc(this.#target.host.length + 4)
    pattern.write(this.#target.host)
    pattern.writeInt32BE(this.#target.port, this.#target.host.length)
    for (let at = frame.indexOf(pattern); at !== -1; at = frame.indexOf(pattern, at + 1))
      frame.writeInt32BE(this.#port, at + this.#target.host.length)
    return frame
  }
}

/** Calls `take` with each whole frame, its length included. */
export function onFrames(socket: Socket, take: (frame: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 4 && rest.length >= rest.readInt32BE(0) + 4) {
      const length = rest.readInt32BE(0) + 4
      take(Buffer.from(rest.subarray(0, length)))
      rest = rest.subarray(length)
    }
  })
}
