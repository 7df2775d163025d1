import { createHmac, hash } from 'node:crypto'
import type { Host, Timer } from '@atoll/host'
import type { Random } from '../random.ts'
import type { Scheduler } from './scheduler.ts'

/**
 * Something that runs in a world and can stop on its own: one instance of a service, the gateway, an engine. It has a
 * host of its own, and everything that reaches it from outside comes through {@link whenAwake}: while it is paused that
 * waits, and once it is dead it is dropped.
 */
export class Actor {
  readonly name: string
  readonly host: Host
  /** What it wants to do in turns to come. The scheduler's. */
  readonly turns: (() => void)[] = []
  /** How far its wall clock is off, milliseconds. */
  skewMs = 0
  isDead = false
  /** Ends it by what runs in it, if it is a process. */
  end: ((how: string, error?: unknown) => void) | undefined
  /** What is to be done when it dies. */
  readonly onDeath = new Set<() => void>()
  readonly #scheduler: Scheduler
  #isPaused = false
  #waiting: (() => void)[] = []

  constructor(name: string, scheduler: Scheduler, random: Random) {
    this.name = name
    this.#scheduler = scheduler
    this.host = createHost(this, scheduler, random)
  }

  /** Runs code of this actor. */
  within<T>(work: () => T): T {
    return this.#scheduler.within(this.name, work, this.end)
  }

  /** Calls `callback` now, or when it goes on after a pause; never if it is dead. */
  whenAwake(callback: () => void): void {
    if (this.isDead) return
    if (this.#isPaused) this.#waiting.push(callback)
    else callback()
  }

  /** What a port answers, as it reaches this actor. */
  receive<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      answer.then(
        (value) => this.whenAwake(() => resolve(value)),
        (error: unknown) => this.whenAwake(() => reject(error)),
      )
    })
  }

  /**
   * It does nothing and hears nothing, and does not know: as a process that is stopped, or a virtual machine that is
   * moved.
   */
  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    for (const callback of this.#waiting.splice(0)) this.whenAwake(callback)
  }

  /** It is gone, between two instructions. */
  die(): void {
    this.isDead = true
    this.turns.length = 0
    this.#waiting = []
    for (const callback of this.onDeath) callback()
    this.onDeath.clear()
  }
}

/** When every world begins, by the wall clock. */
export const EPOCH_MS = Date.UTC(2026, 0, 1)

function createHost(actor: Actor, scheduler: Scheduler, random: Random): Host {
  const now = (): number => EPOCH_MS + Math.floor(scheduler.monotonicMs) + actor.skewMs
  const hex = (bytes: number): string => {
    let digits = ''
    while (digits.length < 2 * bytes)
      digits += random
        .int(2 ** 32)
        .toString(16)
        .padStart(8, '0')
    return digits.slice(0, 2 * bytes)
  }
  return {
    now,
    monotonicMs: () => scheduler.monotonicMs,
    after: (delayMs, callback): Timer => scheduler.after(actor, delayMs, callback),
    turn: (callback) => {
      if (!actor.isDead) scheduler.turn(actor, callback)
    },
    uuid: () => {
      const time = now().toString(16).padStart(12, '0')
      const tail = hex(10)
      return `${time.slice(0, 8)}-${time.slice(8)}-7${tail.slice(0, 3)}-a${tail.slice(3, 6)}-${tail.slice(6, 18)}`
    },
    hex,
    random: () => random.next(),
    digest: (text, key) =>
      key === undefined ? hash('sha256', text) : createHmac('sha256', key).update(text).digest('hex'),
  }
}
