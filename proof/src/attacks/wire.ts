import { connect, type Socket } from 'node:net'
import type { Attack } from './attack.ts'
import type { Target } from './target.ts'

/**
 * Does something so many times a second, also when it takes long, until `signal` aborts. What is due at a time is done
 * in one go.
 */
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

/** How requests are sent that stand alone. */
export interface Sending {
  readonly perSecond: number
  /** How many connections there may be at a time. */
  readonly connectionsMax: number
  /** The client keeps its half open when the server has closed the other. */
  readonly staysOpen?: true
}

/** An attack that opens a connection for each text that `next` gives, sends it, and counts what it is answered. */
export function sending({ perSecond, connectionsMax, staysOpen }: Sending, next: () => string): Attack['run'] {
  return (target, outcomes, signal) => {
    const connections = new Connections(target, connectionsMax, signal)
    return paced(perSecond, signal, () => {
      const socket = connections.open()
      if (!socket) return outcomes.count('not sent')
      onStatus(socket, (status) => outcomes.count(status))
      if (!staysOpen) socket.once('end', () => socket.end())
      socket.write(next())
    })
  }
}

/** Gives the texts of a list one after the other, again and again. */
export function inTurn(texts: readonly string[]): () => string {
  let nth = 0
  return () => texts[nth++ % texts.length]! // the remainder is one of them
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
    const socket = connect({
      port: Number(new URL(this.#target.url).port),
      host: '127.0.0.1',
      ...stranger,
      allowHalfOpen: true,
    })
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
function onAbort(signal: AbortSignal, then: () => void): void {
  if (signal.aborted) then()
  else signal.addEventListener('abort', then, { once: true })
}

/** Attackers have another address than honest clients, where every address of 127.0.0.0/8 is this machine's. */
const stranger = process.platform === 'linux' ? { localAddress: '127.0.0.2' } : {}

const TICK_MS = 10
const STATUS = /HTTP\/1\.1 (\d{3}) /g
const STATUS_CHARS = 'HTTP/1.1 200 '.length
