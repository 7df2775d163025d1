import { url as debuggerUrl } from 'node:inspector'
import { Worker } from 'node:worker_threads'
import type { Strays } from '../strays.ts'

/** How long nothing of a process may run before it is ended, milliseconds: longer than a handler may take in all. */
export const loopStallMsMax = 60_000

export interface Watchdog {
  /** Ends the watch. */
  end(): void
}

/** What the thread needs to know. */
export interface Watch {
  readonly stallMsMax: number
  /** Counts the turns of the loop that is watched, and whether a debugger may stop it. */
  readonly beats: Int32Array
}

/** Where the number of turns and the debugger stand in {@link Watch.beats}. */
export const TURNS = 0
export const DEBUGGER = 1

/**
 * Ends the process, from a thread of its own, if a handler has let nothing else run for so long: it keeps every service, every lease and the
 * order to stop waiting, and no deadline comes to be looked at. It says first which handling it was, and where. Of what else takes its time, such
 * as a migration, it only says so. It does nothing under a debugger, and if `stallMsMax` is 0.
 */
export function watchLoop(strays: Strays, stallMsMax = loopStallMsMax): Watchdog {
  if (stallMsMax === 0) return { end() {} }
  const beats = new Int32Array(new SharedArrayBuffer(8))
  const beat = setInterval(() => {
    Atomics.add(beats, TURNS, 1)
    Atomics.store(beats, DEBUGGER, debuggerUrl() === undefined ? 0 : 1)
  }, Math.ceil(stallMsMax / BEATS))
  beat.unref()
  Object.defineProperty(globalThis, whoseHandling, { value: () => JSON.stringify(strays.about()), configurable: true })
  // Built, it is JavaScript beside this file's; as source, TypeScript. The program's own flags (--eval, --inspect) are not for it.
  const main = new URL(import.meta.url.endsWith('.ts') ? './thread-main.ts' : './thread-main.js', import.meta.url)
  const worker = new Worker(main, { workerData: { stallMsMax, beats } satisfies Watch, execArgv: [] })
  worker.unref()
  worker.on('error', () => undefined) // then nobody watches, and the rest goes on
  return {
    end: () => {
      clearInterval(beat)
      void worker.terminate()
    },
  }
}

/** Under this name the thread finds, in the stopped process, what it was about. */
export const whoseHandling = 'atoll: whose handling'
/** How often in the time of a stall the loop shows that it turns, and is looked at. */
export const BEATS = 10
