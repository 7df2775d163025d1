import { isIPv6 } from 'node:net'

/**
 * Lets clients take turns. Node.js serves all that has come before it looks for more, so that three hundred requests of
 * one client hold up the one of another. Here each round of the event loop serves only so many of each client; what is
 * over waits for the next round, behind those of its client that came before. The share halves, down to one, where
 * serving made a round long, and doubles where a client used it up and it did not. It is round robin with a quantum of
 * requests: what one costs, nobody knows before it is served. When it has been, its client sits out a round for each
 * {@link QUANTUM_BYTES} of the answer, as in deficit round robin (Shreedhar and Varghese, 1995), but no more than
 * {@link OWED_MAX}: others get through between two large answers. If nobody else is at work, such rounds take no time.
 *
 * A round in which the loop waits for a disk is not made long by those who are served in it: commits that one wait
 * makes last would become as many waits if fewer were served.
 */
export class Turns<Item> {
  readonly #serve: (item: Item) => void
  readonly #clock: RoundClock
  readonly #atNextRound: (round: () => void) => void
  /** How many each client has been served in this round. */
  readonly #served = new Map<string, number>()
  /** A client has been served as many as it may be in this round. */
  #isUsedUp = false
  readonly #waiting = new Map<string, Item[]>()
  /** How many rounds each client sits out for what it has been given. */
  readonly #owed = new Map<string, number>()
  #share = SHARE_MAX
  #isUnderWay = false
  #begunMs = 0
  /**
   * Until when rounds are watched: how much the thread works takes as long to ask as a small request takes, so it is
   * asked only where a round has been long lately.
   */
  #watchedUntilMs = -Infinity
  /** How much work the thread had done when this round began; undefined if that is not watched. */
  #begunBusyMs: number | undefined

  constructor(
    serve: (item: Item) => void,
    clock: RoundClock = clockOfThread,
    atNextRound: (round: () => void) => void = setImmediate,
  ) {
    this.#serve = serve
    this.#clock = clock
    this.#atNextRound = atNextRound
  }

  /** Serves what a client asks for, at once if its turn is not over. */
  take(client: string, item: Item): void {
    this.#begin()
    const served = this.#served.get(client) ?? 0
    if (served >= this.#share || this.#waiting.has(client) || this.#owed.has(client))
      return void this.#queue(client, item)
    this.#noteServed(client, served + 1)
    this.#serve(item)
  }

  /** Serves it in a later round. */
  takeLater(client: string, item: Item): void {
    this.#begin()
    this.#queue(client, item)
  }

  /** Notes how large an answer was that a client has been given, bytes. */
  charge(client: string, bytes: number): void {
    const rounds = Math.floor(bytes / QUANTUM_BYTES)
    if (rounds === 0) return
    this.#begin()
    this.#owed.set(client, Math.min(OWED_MAX, (this.#owed.get(client) ?? 0) + rounds))
  }

  #noteServed(client: string, count: number): void {
    this.#served.set(client, count)
    if (count >= this.#share) this.#isUsedUp = true
  }

  #begin(): void {
    if (this.#isUnderWay) return
    this.#isUnderWay = true
    this.#begunMs = this.#clock.nowMs()
    this.#begunBusyMs = this.#begunMs < this.#watchedUntilMs ? this.#clock.busyMs() : undefined
    this.#atNextRound(() => this.#round())
  }

  #queue(client: string, item: Item): void {
    const queue = this.#waiting.get(client)
    if (queue) queue.push(item)
    else this.#waiting.set(client, [item])
  }

  /** Sets the share for the next round by what this one took. */
  #judge(): void {
    const nowMs = this.#clock.nowMs()
    const tookMs = nowMs - this.#begunMs
    const isLong = tookMs > ROUND_MS
    if (isLong) this.#watchedUntilMs = nowMs + WATCH_MS
    if (isLong && this.#begunBusyMs === undefined) return // the next one will tell
    const workedMs = isLong ? this.#clock.busyMs() - this.#begunBusyMs! : 0 // looked at just now
    const isHeavy = workedMs > Math.max(ROUND_MS, tookMs / 2)
    if (isHeavy) this.#share = Math.max(1, this.#share >> 1)
    else if (this.#isUsedUp) this.#share = Math.min(SHARE_MAX, this.#share * 2)
  }

  #round(): void {
    this.#judge()
    this.#served.clear()
    this.#isUsedUp = false
    this.#isUnderWay = false
    if (this.#waiting.size === 0 && this.#owed.size === 0) return
    this.#begin()
    // what comes meanwhile is of the next round
    const due = [...this.#waiting].filter(([client]) => !this.#owed.has(client))
    for (const [client, rounds] of this.#owed) {
      if (rounds > 1) this.#owed.set(client, rounds - 1)
      else this.#owed.delete(client)
    }
    for (const [client, queue] of due) {
      const items = queue.splice(0, this.#share)
      if (queue.length === 0) this.#waiting.delete(client)
      this.#noteServed(client, items.length)
      for (const item of items) this.#serve(item)
    }
  }
}

/** What a round took. */
export interface RoundClock {
  nowMs(): number
  /** How long the thread has worked, and not waited. */
  busyMs(): number
}

const clockOfThread: RoundClock = {
  nowMs: () => performance.now(),
  busyMs() {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1_000
  },
}

/**
 * Whose turn it is, by address. Of IPv6, half of an address names the network of one customer, who has all of the rest.
 */
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

/**
 * Longer than this, a round of the loop keeps others waiting, milliseconds. So does the work in it, if it is most of
 * the round.
 */
const ROUND_MS = 4
/** How long after a long round others are watched, milliseconds. */
const WATCH_MS = 1_000
const SHARE_MAX = 32
/** So much of an answer is worth a round. */
const QUANTUM_BYTES = 64 * 1_024
/** Behind a proxy all are one client, and none should wait long for what another was given. */
const OWED_MAX = 16
