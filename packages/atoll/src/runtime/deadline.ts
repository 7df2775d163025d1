import { AtollError, type Host } from '@atoll/host'
import type { Cancellation } from './running.ts'

/**
 * Runs `work`, and rejects with DEADLINE_EXCEEDED or CANCELLED if its time runs out or the signal aborts before.
 * `onEnd` then tells the work, whose result is dropped, whatever it does afterwards; `onEnd` may know a result by then,
 * or throw something that says more.
 */
export function withDeadline<T>(
  host: Host,
  limit: { deadlineMs: number; signal: Cancellation | undefined; name: string },
  work: () => Promise<T>,
  onEnd: (reason: AtollError) => T | undefined,
): Promise<T> {
  const leftMs = limit.deadlineMs - host.monotonicMs()
  if (limit.signal?.aborted) return Promise.reject(new AtollError('CANCELLED', `${limit.name}: the caller went away`))
  if (leftMs <= 0)
    return Promise.reject(new AtollError('DEADLINE_EXCEEDED', `${limit.name}: no time was left to begin`))
  return new Promise<T>((resolve, reject) => {
    const end = (reason: AtollError): void => {
      release()
      try {
        const known = onEnd(reason)
        if (known === undefined) reject(reason)
        else resolve(known)
      } catch (error) {
        reject(error)
      }
    }
    const timer = host.after(leftMs, () =>
      end(new AtollError('DEADLINE_EXCEEDED', `${limit.name} was not done when its time ran out`)),
    )
    const onAbort = (): void => end(new AtollError('CANCELLED', `${limit.name}: the caller went away`))
    limit.signal?.addEventListener('abort', onAbort, { once: true })
    const release = (): void => {
      timer.cancel()
      limit.signal?.removeEventListener('abort', onAbort)
    }
    work().then(
      (value) => {
        release()
        resolve(value)
      },
      (error: unknown) => {
        release()
        reject(error)
      },
    )
  })
}

/** Whether `work` ended within `ms`; it goes on all the same. Rejects if it rejects in time. */
export function endsWithin(host: Host, ms: number, work: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const late = (): void => resolve(false)
    const timer = ms > 0 ? host.after(ms, late) : undefined
    if (!timer) host.turn(late)
    work.then(
      () => {
        timer?.cancel()
        resolve(true)
      },
      (error: unknown) => {
        timer?.cancel()
        reject(error)
      },
    )
  })
}
