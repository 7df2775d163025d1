import { connect, type Socket } from 'node:net'
import type { Target } from './target.ts'

/** Does something so many times a second, also when it takes long, until `signal` aborts. What is due at a time is done in one go. */
export function paced(perSecond: number, signal: AbortSignal, work: () => void): Promise<void> {
  const startedMs = performance.now()
  let done = 0
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      const due = ((performance.now() - startedMs) / 1_000) * perSecond
      for (; done < due; done++) work()
    }, TICK_MS)
    onAbort(signal, () => {
      clearInterval(timer)
      resolve()
    })
  })
}

/** Connections of one attacker: never more at a time than they may be, all gone with `signal`. */
export class Connections {
  readonly #target: Target
  readonly #max: number
  readonly #open = new Set<Socket>()

  constructor(target: Target, max: number, signal: AbortSignal) {
    this.#target = target
    this.#max = max
    onAbort(signal, () => {
      for (const socket of this.#open) socket.destroy()
    })
  }

  /** A new connection; undefined if there are as many as there may be. */
  open(): Socket | undefined {
    if (this.#open.size >= this.#max) return undefined
    const socket = connect({ port: Number(new URL(this.#target.url).port), host: '127.0.0.1', allowHalfOpen: true })
    this.#open.add(socket)
    socket.on('error', () => {}).once('close', () => this.#open.delete(socket)) // it is over, however it ended
    return socket
  }
}

/** Calls with each status that comes over a connection. */
export function onStatus(socket: Socket, told: (status: string) => void): void {
  let rest = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    const all = rest + text
    for (const [, status] of all.matchAll(STATUS)) told(status!) // the pattern has it
    rest = all.slice(Math.max(0, all.length - STATUS_CHARS + 1)).replace(STATUS, '')
  })
}

/** Calls when it aborts, or at once if it has. */
export function onAbort(signal: AbortSignal, then: () => void): void {
  if (signal.aborted) then()
  else signal.addEventListener('abort', then, { once: true })
}

const TICK_MS = 10
const STATUS = /HTTP\/1\.1 (\d{3}) /g
const STATUS_CHARS = 'HTTP/1.1 200 '.length
