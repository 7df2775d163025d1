import { url as debuggerUrl } from 'node:inspector'
import { Worker } from 'node:worker_threads'
import type { Logger } from '@atoll/host'
import type { StrayWatch } from '../strays.ts'

/** How long nothing of a process may run before it is ended, milliseconds: longer than a handler may take in all. */
export const loopStallMsMax = 60_000

export interface Watchdog {
  /** Ends the watch. */
  end(): void
}

/** What the thread needs to know. */
export interface Watch {
  readonly stallMsMax: number
  /**
   * Counts the turns of the loop that is watched; says whether a debugger may stop it, and whether any handler has run
   * yet.
   */
  readonly beats: Int32Array
}

/** Where these stand in {@link Watch.beats}. */
export const TURNS = 0
export const DEBUGGER = 1
export const HANDLES = 2

/**
 * Ends the process, from a thread of its own, if a handler has let nothing else run for so long: it keeps every
 * service, every lease and the order to stop waiting, and no deadline comes to be looked at. It says first which
 * handling it was, and where. What is no JavaScript, such as a statement without end, cannot be asked: it ends the
 * process when it has computed for so long, in a process that has handlers at work. Of what else takes its time, such
 * as a migration or a disk that hangs, it only says so. It does nothing under a debugger, and if `stallMsMax` is 0.
 */
export function watchLoop(
  strays: Pick<StrayWatch, 'about' | 'onFirst'>,
  logger: Logger,
  stallMsMax = loopStallMsMax,
): Watchdog {
  if (stallMsMax === 0) return { end() {} }
  const beats = new Int32Array(new SharedArrayBuffer(12))
  strays.onFirst(() => void Atomics.store(beats, HANDLES, 1))
  const beat = setInterval(
    () => {
      Atomics.add(beats, TURNS, 1)
      Atomics.store(beats, DEBUGGER, debuggerUrl() === undefined ? 0 : 1)
    },
    Math.ceil(stallMsMax / BEATS),
  )
  beat.unref()
  Object.defineProperty(globalThis, whoseHandling, { value: () => JSON.stringify(strays.about()), configurable: true })
  // Built, it is JavaScript beside this file's; as source, TypeScript. The program's own flags (--eval, --inspect) are
  // not for it.
  const main = new URL(import.meta.url.endsWith('.ts') ? './thread-main.ts' : './thread-main.js', import.meta.url)
  const watch = startThread(main, { stallMsMax, beats }, (error) => {
    clearInterval(beat)
    logger.warn(
      { error },
      'nobody watches the loop of this process any more: a handler that never ends keeps it until somebody ends it; start it again to have it watched',
    )
  })
  return {
    end: () => {
      clearInterval(beat)
      watch.end()
    },
  }
}

/** A thread that watches. `failed` is told once if it cannot, or can no more; the rest goes on. */
function startThread(main: URL, watch: Watch, failed: (error: unknown) => void): Watchdog {
  let isOver = false
  const over = (error: unknown): void => {
    if (!isOver) failed(error)
    isOver = true
  }
  try {
    const worker = new Worker(main, { workerData: watch, execArgv: [] })
    worker.unref()
    worker.on('error', over)
    worker.on('exit', (code) => over(new Error(`its thread ended with code ${code}`)))
    return {
      end: () => {
        isOver = true
        void worker.terminate()
      },
    }
  } catch (error) {
    over(error)
    return { end() {} }
  }
}

/** Under this name the thread finds, in the stopped process, what it was about. */
export const whoseHandling = 'atoll: whose handling'
/** How often in the time of a stall the loop shows that it turns, and is looked at. */
export const BEATS = 10
