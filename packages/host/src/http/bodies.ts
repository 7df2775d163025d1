import { isUtf8 } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { AtollError } from '../error.ts'
import { waitsToContinue } from './framing.ts'

/**
 * The bodies that are arriving, over all connections of a server. What has come of each is held until the rest has
 * come.
 */
export class Bodies {
  readonly #bytesMax: number
  /** Those that have been arriving longest come first. */
  readonly #arriving = new Set<Arriving>()
  #bytes = 0

  /**
   * When bodies that have not arrived in full hold more than `bytesMax` bytes, those that have been arriving longest
   * are refused.
   */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /**
   * Reads the body of a request as text. A client that sent `Expect: 100-continue` sends the body only now, so one that
   * was refused before is never sent. BODY_TOO_LARGE, with nothing read beyond `bodyBytesMax`; MALFORMED for bytes that
   * are not UTF-8, which would become other letters; OVERLOADED if too many bytes are arriving and this body has been
   * arriving longest; CANCELLED if the client goes away.
   */
  read(request: IncomingMessage, response: ServerResponse, bodyBytesMax: number): Promise<string> {
    const length = Number(request.headers['content-length'] ?? 0)
    if (length > bodyBytesMax)
      return Promise.reject(
        new AtollError('BODY_TOO_LARGE', `the body has ${length} bytes; ${bodyBytesMax} are allowed (bodyBytesMax)`),
      )
    if (request.destroyed) return Promise.reject(new AtollError('CANCELLED', GONE)) // it will not say so again
    if (waitsToContinue(request)) response.writeContinue()
    return new Promise((resolve, reject) => {
      const body = new Arriving(length, (error) => {
        this.#forget(body)
        request.removeAllListeners('data').pause()
        reject(error)
      })
      this.#arriving.add(body)
      request.on('data', (chunk: Buffer) => {
        if (body.length + chunk.length > bodyBytesMax)
          return body.refuse(
            new AtollError('BODY_TOO_LARGE', `the body has more than ${bodyBytesMax} bytes (bodyBytesMax)`),
          )
        this.#count(body.add(chunk))
      })
      request.once('end', () => {
        const { bytes } = body
        this.#forget(body)
        if (isUtf8(bytes)) resolve(bytes.toString())
        else reject(new AtollError('MALFORMED', 'the body has bytes that are not UTF-8; JSON is UTF-8'))
      })
      request.once('error', (error) => {
        this.#forget(body)
        reject(new AtollError('CANCELLED', GONE, { cause: error }))
      })
    })
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    for (const longest of this.#arriving) {
      if (this.#bytes <= this.#bytesMax) break
      longest.refuse(
        new AtollError(
          'OVERLOADED',
          `the body was too slow: more than ${this.#bytesMax} bytes of others were arriving (arrivingBytesMax)`,
        ),
      )
    }
  }

  #forget(body: Arriving): void {
    if (this.#arriving.delete(body)) this.#bytes -= body.release()
  }
}

/**
 * What has come of a body. A client decides how small the pieces are, and each would take some hundred bytes if it were
 * kept by itself.
 */
class Arriving {
  readonly refuse: (error: AtollError) => void
  length = 0
  readonly #announced: number
  #room: Buffer = nothing

  /** `announced`: its Content-Length, or 0 without one. */
  constructor(announced: number, refuse: (error: AtollError) => void) {
    this.#announced = announced
    this.refuse = refuse
  }

  get bytes(): Buffer {
    return this.#room.subarray(0, this.length)
  }

  /** Adds a piece; returns by how many bytes the room for them has grown. */
  add(piece: Buffer): number {
    const before = this.#room.length
    const length = this.length + piece.length
    if (this.length === 0) this.#room = piece // most bodies come in one
    else {
      if (length > before) {
        const room = Buffer.allocUnsafe(Math.max(length, Math.min(2 * before, this.#announced || Infinity)))
        this.#room.copy(room, 0, 0, this.length)
        this.#room = room
      }
      piece.copy(this.#room, this.length)
    }
    this.length = length
    return this.#room.length - before
  }

  /** Gives its room back; returns how many bytes that was. */
  release(): number {
    const { length } = this.#room
    this.#room = nothing
    return length
  }
}

const GONE = 'the client went away before its body had arrived'
const nothing = Buffer.alloc(0)
