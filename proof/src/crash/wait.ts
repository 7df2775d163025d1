import { setInterval } from 'node:timers/promises'

/**
 * Asks again and again until it holds, or nobody believes any more that it will. Another process can be asked, not
 * waited for. `askMs`: between two questions.
 */
export async function eventually(
  holds: () => boolean | Promise<boolean>,
  boundMs = 5 * 60_000,
  askMs = ASK_MS,
): Promise<boolean> {
  const untilMs = performance.now() + boundMs
  if (await holds()) return true
  for await (const _ of setInterval(askMs)) {
    if (await holds()) return true
    if (performance.now() > untilMs) break
  }
  return false
}

const ASK_MS = 10
