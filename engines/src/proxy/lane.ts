import type { Socket } from 'node:net'

/** More than this is not held in one direction; then the sender has to wait. */
const HELD_BYTES_MAX = 256 * 1024

interface Parcel {
  /** Nothing for the end of the stream. */
  readonly chunk: Buffer | undefined
  dueMs: number
}

/**
 * One direction of a connection: what comes from one side goes to the other, in order. It is halted until {@link go}.
 */
export class Lane {
  readonly #from: Socket
  readonly #to: Socket
  readonly #parcels: Parcel[] = []
  #heldBytes = 0
  #delayMs = 0
  #isHalted = true
  #isFull = false
  #timer: NodeJS.Timeout | undefined

  constructor(from: Socket, to: Socket) {
    this.#from = from
    this.#to = to
    from.pause()
    from.on('data', (chunk: Buffer) => this.#take(chunk)).on('end', () => this.#take(undefined))
    to.on('drain', () => {
      this.#isFull = false
      this.#forward()
    })
    to.on('close', () => clearTimeout(this.#timer))
  }

  go(delayMs: number): void {
    this.#isHalted = false
    this.#delayMs = delayMs
    // What is held waits no longer than what comes now.
    const latestMs = performance.now() + delayMs
    for (const parcel of this.#parcels) parcel.dueMs = Math.min(parcel.dueMs, latestMs)
    this.#forward()
  }

  halt(): void {
    this.#isHalted = true
    this.#from.pause()
    clearTimeout(this.#timer)
  }

  #take(chunk: Buffer | undefined): void {
    this.#parcels.push({ chunk, dueMs: performance.now() + this.#delayMs })
    this.#heldBytes += chunk?.length ?? 0
    this.#forward()
  }

  /** Gives what is due to the other side, and reads on if there is room. */
  #forward(): void {
    clearTimeout(this.#timer)
    if (this.#isHalted || this.#to.destroyed) return
    for (let parcel = this.#parcels[0]; parcel && !this.#isFull; parcel = this.#parcels[0]) {
      const waitMs = parcel.dueMs - performance.now()
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#forward(), waitMs)
        break
      }
      this.#parcels.shift()
      if (parcel.chunk === undefined) this.#to.end()
      else {
        this.#heldBytes -= parcel.chunk.length
        this.#isFull = !this.#to.write(parcel.chunk)
      }
    }
    if (this.#heldBytes < HELD_BYTES_MAX) this.#from.resume()
    else this.#from.pause()
  }
}
