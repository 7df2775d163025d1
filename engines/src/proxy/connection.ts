import { connect, type Socket } from 'node:net'
import { Lane } from './lane.ts'
import type { Meter } from './meter.ts'

/** A client's connection to the proxy, and the proxy's to the server. */
export class Connection {
  /** Called once, when neither side is left. */
  onOver: () => void = () => {}
  readonly #client: Socket
  readonly #target: { host: string; port: number }
  readonly #meter: Meter
  #server: Socket | undefined
  #lanes: readonly Lane[] = []
  #isHalted = true
  #isLost = false

  /** The client is paused and stays so until {@link go}. `meter` counts what it sends. */
  constructor(client: Socket, target: { host: string; port: number }, meter: Meter) {
    this.#client = client
    this.#target = target
    this.#meter = meter
    this.#watch(client)
  }

  /** Passes on what comes, and what was held, after so long. */
  go(delayMs: number): void {
    if (this.#isLost) return
    this.#isHalted = false
    this.#server ??= this.#connect()
    for (const lane of this.#lanes) lane.go(delayMs)
    this.#settle()
  }

  /** Passes nothing on, and says nothing of what it sees. */
  halt(): void {
    if (this.#isLost) return
    this.#isHalted = true
    for (const lane of this.#lanes) lane.halt()
  }

  /**
   * Loses what either side says from now on, or only what the server says. Nothing mends that; but a client that ends
   * it ends the other side as well.
   */
  lose({ answersOnly }: { answersOnly: boolean }): void {
    if (this.#isLost) return
    this.#isLost = true
    this.#client.once('end', () => this.#client.destroy())
    if (answersOnly) this.#server ??= this.#connect()
    const [toServer, toClient] = this.#lanes
    if (answersOnly) toServer!.go(0) // it is connected
    else if (toServer) toServer.lose()
    else this.#client.resume()
    toClient?.lose()
  }

  /** Ends both sides by RST. */
  tear(): void {
    for (const socket of [this.#client, this.#server]) {
      if (!socket) continue
      // One that is not connected yet has nobody to tell; and of one that is about to say that it has ended, Node.js
      // would forget the handle, open, and never exit.
      if (socket.connecting || (socket.writableEnded && !socket.writableFinished)) socket.destroy()
      else socket.resetAndDestroy()
    }
  }

  #connect(): Socket {
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true })
    this.#lanes = [new Lane(this.#client, server, this.#meter), new Lane(server, this.#client)]
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
    else if (this.#isLost) {
      if (this.#client.destroyed) this.#server?.destroy()
    } else if (!this.#isHalted && sides.some((side) => side.destroyed && !isOrderly(side))) this.tear()
  }
}

/** Whether both sides of it said that they were done. */
function isOrderly(socket: Socket): boolean {
  return socket.readableEnded && socket.writableFinished
}
