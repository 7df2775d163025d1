import { createNodeHost } from '@atoll/host/node'
import type { Host } from '@atoll/host'

/** A host whose clocks stand still until they are told to move. Turns, ids and chance are real. */
export interface VirtualHost extends Host {
  /** Moves both clocks forward and calls what became due, in order; each call's consequences settle before the next. */
  advance(ms: number): Promise<void>
  /** Moves the wall clock alone, in either direction. */
  jump(ms: number): void
}

export function createVirtualHost(): VirtualHost {
  const real = createNodeHost()
  let wallMs = Date.UTC(2026, 0, 1)
  let monotonicMs = 0
  let order = 0
  const timers = new Map<number, { dueMs: number; callback: () => void }>()
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < SETTLE_TURNS; turn++) await new Promise<void>((resolve) => real.turn(resolve))
  }
  return {
    ...real,
    now: () => Math.floor(wallMs),
    monotonicMs: () => monotonicMs,
    after(delayMs, callback) {
      const id = order++
      timers.set(id, { dueMs: monotonicMs + delayMs, callback })
      return { cancel: () => void timers.delete(id) }
    },
    async advance(ms) {
      const untilMs = monotonicMs + ms
      await settle()
      for (;;) {
        const due = [...timers]
          .filter(([, timer]) => timer.dueMs <= untilMs)
          .sort(([a, x], [b, y]) => x.dueMs - y.dueMs || a - b)[0]
        if (!due) break
        const [id, timer] = due
        timers.delete(id)
        const stepMs = Math.max(0, timer.dueMs - monotonicMs)
        monotonicMs += stepMs
        wallMs += stepMs
        timer.callback()
        await settle()
      }
      wallMs += untilMs - monotonicMs
      monotonicMs = untilMs
    },
    jump: (ms) => void (wallMs += ms),
  }
}

/** Enough turns for a commit, an append and a commit to follow from one another. */
const SETTLE_TURNS = 12
