import type { Socket } from 'node:net'
import type { Meter } from './meter.ts'

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
  readonly #meter: Meter | undefined
  readonly #parcels: Parcel[] = []
  #heldBytes = 0
  #delayMs = 0
  #isHalted = true
  #isLost = false
  #isFull = false
  #timer: NodeJS.Timeout | undefined

  /** `meter` counts what goes to the other side. */
  constructor(from: Socket, to: Socket, meter?: Meter) {
    this.#from = from
    this.#to = to
    this.#meter = meter
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

  /** Loses what is held and whatever comes, for good. */
  lose(): void {
    this.#isLost = true
    this.#parcels.length = 0
    this.#heldBytes = 0
    clearTimeout(this.#timer)
    this.#from.resume()
  }

  #take(chunk: Buffer | undefined): void {
    if (this.#isLost) return
    this.#parcels.push({ chunk, dueMs: performance.now() + this.#delayMs })
    this.#heldBytes += chunk?.length ?? 0
    this.#forward()
  }

  /** Gives what is due to the other side, and reads on if there is room. */
  #forward(): void {
    clearTimeout(this.#timer)
    if (this.#isHalted || this.#isLost || this.#to.destroyed) return
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
        const { part, onSpent } = this.#meter?.admit(parcel.chunk) ?? { part: parcel.chunk }
        this.#isFull = !this.#to.write(part, onSpent)
        if (onSpent) return this.lose()
      }
    }
    if (this.#heldBytes < HELD_BYTES_MAX) this.#from.resume()
    else this.#from.pause()
  }
}
