import { isIPv6 } from 'node:net'

/**
 * Lets clients take turns. Node.js serves all that has come before it looks for more, so that three hundred requests of one client hold up the one
 * of another. Here each round of the event loop serves only so many of each client; what is over waits for the next round, behind
 * those of its client that came before. The share halves, down to one, where a round took long, and doubles where it did not. It is round robin with
 * a quantum of requests: what one costs, nobody knows before it is served.
 */
export class Turns<Item> {
  readonly #serve: (item: Item) => void
  readonly #nowMs: () => number
  readonly #atNextRound: (round: () => void) => void
  /** How many each client has been served in this round. */
  readonly #served = new Map<string, number>()
  readonly #waiting = new Map<string, Item[]>()
  #share = SHARE_MAX
  #isUnderWay = false
  #begunMs = 0

  constructor(serve: (item: Item) => void, nowMs: () => number = () => performance.now(), atNextRound: (round: () => void) => void = setImmediate) {
    this.#serve = serve
    this.#nowMs = nowMs
    this.#atNextRound = atNextRound
  }

  /** Serves what a client asks for, at once if its turn is not over. */
  take(client: string, item: Item): void {
    this.#begin()
    const served = this.#served.get(client) ?? 0
    if (served >= this.#share || this.#waiting.has(client)) return void this.#queue(client, item)
    this.#served.set(client, served + 1)
    this.#serve(item)
  }

  /** Serves it in a later round. */
  takeLater(client: string, item: Item): void {
    this.#begin()
    this.#queue(client, item)
  }

  #begin(): void {
    if (this.#isUnderWay) return
    this.#isUnderWay = true
    this.#begunMs = this.#nowMs()
    this.#atNextRound(() => this.#round())
  }

  #queue(client: string, item: Item): void {
    const queue = this.#waiting.get(client)
    if (queue) queue.push(item)
    else this.#waiting.set(client, [item])
  }

  #round(): void {
    this.#share = this.#nowMs() - this.#begunMs > ROUND_MS ? Math.max(1, this.#share >> 1) : Math.min(SHARE_MAX, this.#share * 2)
    this.#served.clear()
    this.#isUnderWay = false
    if (this.#waiting.size === 0) return
    this.#begin()
    for (const [client, queue] of [...this.#waiting]) { // what comes meanwhile is of the next round
      const due = queue.splice(0, this.#share)
      if (queue.length === 0) this.#waiting.delete(client)
      this.#served.set(client, due.length)
      for (const item of due) this.#serve(item)
    }
  }
}

/** Whose turn it is, by address. Of IPv6, half of an address names the network of one customer, who has all of the rest. */
export function clientOf(address: string | undefined): string {
  if (address === undefined || !isIPv6(address)) return address ?? ''
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  const [before = '', after] = address.split('::')
  const groups = before === '' ? [] : before.split(':')
  if (after !== undefined) {
    const rest = after === '' ? [] : after.split(':')
    while (groups.length + rest.length < 8) groups.push('0')
    groups.push(...rest)
  }
  return groups.slice(0, 4).join(':')
}

/** Longer than this, a round of the loop keeps others waiting, milliseconds. */
const ROUND_MS = 4
const SHARE_MAX = 32
