import { setTimeout as after } from 'node:timers/promises'

/** Some milliseconds between two looks at what goes on in another process. */
export function pause(): Promise<void> {
  return after(5)
}

/**
 * Resolves once `reached` answers true without throwing, looking again and again; rejects with the last error after a
 * minute.
 */
export async function eventually(what: string, reached: () => boolean | Promise<boolean>): Promise<void> {
  const until = Date.now() + 60_000
  for (let error: unknown; ;) {
    try {
      if (await reached()) return
    } catch (thrown) {
      error = thrown
    }
    if (Date.now() > until) throw new Error(`waited in vain: ${what}`, { cause: error })
    await pause()
  }
}
