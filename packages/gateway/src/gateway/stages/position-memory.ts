import type { Host } from '@atoll/host'
import { mergePositions, type Position } from 'atoll/runtime'

interface Entry {
  readonly position: Position | undefined
  readonly atMs: number
  readonly distrust: Distrust | undefined
}

/** Until when nothing is remembered, and how long that was. */
interface Distrust {
  readonly untilMs: number
  readonly ms: number
}

/**
 * What has been seen under each name, so that clients who know nothing of positions read their own writes. A name is a
 * caller's id, or an address: somebody who has just registered reads on with a token that the gateway has never seen.
 *
 * It forgets the least recently used, and what is old. That is safe enough: services are milliseconds behind, not
 * minutes, and a client that must be sure sends the Atoll-Position header back.
 */
export class PositionMemory {
  readonly #entries = new Map<string, Entry>()
  readonly #host: Host
  readonly #entriesMax: number
  readonly #ageMsMax: number

  constructor(host: Host, entriesMax: number, ageMsMax: number) {
    this.#host = host
    this.#entriesMax = entriesMax
    this.#ageMsMax = ageMsMax
  }

  recall(name: string): Position | undefined {
    const entry = this.#entries.get(name)
    if (!entry) return undefined
    this.#entries.delete(name)
    const nowMs = this.#host.monotonicMs()
    const isOld = nowMs - entry.atMs > this.#ageMsMax
    if (isOld && !(entry.distrust && this.#isRecent(entry.distrust, nowMs))) return undefined
    const known = isOld ? { ...entry, position: undefined } : entry
    this.#entries.set(name, known) // comes last now, and so is the last to be forgotten
    return known.position
  }

  remember(name: string, position: Position): void {
    const known = this.recall(name)
    const distrust = this.#entries.get(name)?.distrust
    if (distrust && this.#host.monotonicMs() < distrust.untilMs) return
    this.#note(name, known ? mergePositions(known, position) : position, distrust)
  }

  /**
   * What is remembered under this name was waited for in vain: it is forgotten, and nothing is remembered for a while.
   * Once may be an instance that has just come or gone; each time that it comes again soon, the while is twice as long,
   * and at most as long as anything is remembered.
   */
  distrust(name: string): void {
    const nowMs = this.#host.monotonicMs()
    const before = this.#entries.get(name)?.distrust
    if (before && nowMs < before.untilMs) return // one of those who waited for the same
    const ms = before && this.#isRecent(before, nowMs) ? before.ms * 2 : DISTRUST_MS
    const atMostMs = Math.min(ms, this.#ageMsMax)
    this.#note(name, undefined, { untilMs: nowMs + atMostMs, ms: atMostMs })
  }

  /** Whether another wait in vain would come soon after that. */
  #isRecent({ untilMs }: Distrust, nowMs: number): boolean {
    return nowMs - untilMs < this.#ageMsMax
  }

  #note(name: string, position: Position | undefined, distrust: Entry['distrust']): void {
    this.#entries.delete(name)
    this.#entries.set(name, { position, atMs: this.#host.monotonicMs(), distrust })
    if (this.#entries.size <= this.#entriesMax) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      break
    }
  }
}

/** How long nothing is remembered after one wait in vain, milliseconds. */
const DISTRUST_MS = 1_000
