import { setImmediate as turn } from 'node:timers/promises'
import type { Host } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'

export interface ManualHost extends Host {
  /** Lets time go by, timer after timer; resolves when what they set off has come as far as it can by itself. */
  pass(ms: number): Promise<void>
}

/** A host whose time stands still until a test lets it go by. */
export function createManualHost(): ManualHost {
  let nowMs = 0
  const timers = new Set<{ readonly atMs: number; readonly callback: () => void }>()
  return {
    ...createNodeHost(),
    now: () => nowMs,
    monotonicMs: () => nowMs,
    random: () => 0,
    after(delayMs, callback) {
      const timer = { atMs: nowMs + delayMs, callback }
      timers.add(timer)
      return { cancel: () => void timers.delete(timer) }
    },
    async pass(ms) {
      const endMs = nowMs + ms
      for (;;) {
        await turn()
        const next = [...timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0]
        if (!next) break
        timers.delete(next)
        nowMs = next.atMs
        next.callback()
      }
      nowMs = endMs
    },
  }
}
