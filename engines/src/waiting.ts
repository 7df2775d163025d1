import { setTimeout as after } from 'node:timers/promises'

// Another process can be asked, not waited for.

/** Resolves after a moment in which other processes go on with what they do; `ms` is 5 if left out. */
export function pause(ms = 5): Promise<void> {
  return after(ms)
}

/** Asks again and again, and answers whether it came to hold before `boundMs` were over. */
export async function holdsWithin(
  boundMs: number,
  holds: () => boolean | Promise<boolean>,
  askMs = ASK_MS,
): Promise<boolean> {
  const endMs = performance.now() + boundMs
  while (!(await holds())) {
    if (performance.now() > endMs) return false
    await pause(askMs)
  }
  return true
}

/**
 * Resolves once it holds. An error that `holds` throws means not yet; when `boundMs`, five minutes if left out, are
 * over, `until` rejects with what it waited for, and with the last error as cause.
 */
export async function until(what: string, holds: () => boolean | Promise<boolean>, boundMs = BOUND_MS): Promise<void> {
  let cause: unknown
  const answer = async (): Promise<boolean> => {
    try {
      return await holds()
    } catch (error) {
      cause = error
      return false
    }
  }
  if (!(await holdsWithin(boundMs, answer)))
    throw new Error(`waited ${boundMs} ms in vain for this: ${what}`, { cause })
}

const ASK_MS = 10

/** Longer than the slowest machine takes for anything that a test waits for. */
const BOUND_MS = 5 * 60_000
