import { connect, type Socket } from 'node:net'
import { Lane } from './lane.ts'

/** A client's connection to the proxy, and the proxy's to the server. */
export class Connection {
  /** Called once, when neither side is left. */
  onOver: () => void = () => {}
  readonly #client: Socket
  readonly #target: { host: string; port: number }
  #server: Socket | undefined
  #lanes: readonly Lane[] = []
  #isHalted = true

  /** The client is paused and stays so until {@link go}. */
  constructor(client: Socket, target: { host: string; port: number }) {
    this.#client = client
    this.#target = target
    this.#watch(client)
  }

  /** Passes on what comes, and what was held, after so long. */
  go(delayMs: number): void {
    this.#isHalted = false
    this.#server ??= this.#connect()
    for (const lane of this.#lanes) lane.go(delayMs)
    this.#settle()
  }

  /** Passes nothing on, and says nothing of what it sees. */
  halt(): void {
    this.#isHalted = true
    for (const lane of this.#lanes) lane.halt()
  }

  /** Ends both sides by RST. */
  tear(): void {
    for (const socket of [this.#client, this.#server]) {
      // One that is not connected yet has nobody to tell.
      if (socket?.connecting) socket.destroy()
      else socket?.resetAndDestroy()
    }
  }

  #connect(): Socket {
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true })
    this.#lanes = [new Lane(this.#client, server), new Lane(server, this.#client)]
    this.#watch(server)
    return server
  }

  #watch(socket: Socket): void {
    socket.on('error', () => {}) // 'close' follows
    socket.on('close', () => this.#settle())
  }

  /** One side is gone without an orderly end: so is the other, unless nobody may know. */
  #settle(): void {
    const sides = this.#server ? [this.#client, this.#server] : [this.#client]
    if (sides.every((side) => side.destroyed)) this.onOver()
    else if (!this.#isHalted && sides.some((side) => side.destroyed && !isOrderly(side))) this.tear()
  }
}

/** Whether both sides of it said that they were done. */
function isOrderly(socket: Socket): boolean {
  return socket.readableEnded && socket.writableFinished
}
