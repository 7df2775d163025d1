import type { Log, LogCapabilities } from '../driver.ts'

/** How the suite gets at a driver. Write one for yours, and hand it to `testLog`. */
export interface LogHarness {
  /** What the driver says of itself. The suite checks that its logs say the same, then chooses its tests by it. */
  readonly capabilities: LogCapabilities

  /**
   * Opens an empty log that no other test touches, with room for partitions 0 to 7 of any source. `fault` is the one
   * that the test will cause: one that disturbs others asks for an engine of its own.
   */
  open(fault?: FaultName): Promise<LogWorld>

  /**
   * Lets a log go on with what it does by itself, and resolves: the next turn of the event loop for a log in this
   * process, some milliseconds for one on a server. A test that waits for something looks, pauses and looks again, at
   * most {@link pausesMax} times.
   */
  pause(): Promise<void>

  /** The faults that its worlds can cause. Tests that need another one are left out. */
  readonly faults?: readonly FaultName[]

  /**
   * Promises that the driver is known not to keep: id of the test → why. Such a test must fail; once it passes, it is
   * reported so that the entry is deleted. Nothing is skipped unseen.
   */
  readonly deviations?: Readonly<Record<string, string>>
}

/** One log, for one test. */
export interface LogWorld {
  readonly log: Log
  /** Opens the same log again, once the test has closed it. */
  reopen(): Promise<Log>
  /** A fault: from now on nothing can be written, as on a full disk, until the returned function is called. */
  stopWrites?(): () => void
  /**
   * A fault: opens what the log would leave behind if its process died this moment. The old log is not used any more.
   */
  crash?(): Promise<Log>
  /** Opens the same log beside the first, as another process does. Both are used. */
  share?(): Promise<Log>
  /** Opens the log of another system in the same place: on the same engine, in the same database. */
  stranger?(): Promise<Log>
  /**
   * A fault: the engine is out of reach, its connections torn and new ones refused, until the returned function is
   * called. Logs opened by `share` must not feel it.
   */
  cut?(): Promise<() => Promise<void>>
  /**
   * A fault: the engine takes connections and everything that is sent, and answers nothing, until the returned function
   * is called; connections of that time stay silent.
   */
  silence?(): Promise<() => Promise<void>>
  /**
   * A fault: the engine takes everything that is sent, and what it answers is lost, until the returned function is
   * called; connections of that time stay so. Logs opened by `share` must not feel it.
   */
  loseAnswers?(): Promise<() => Promise<void>>
  /**
   * A fault: when the log has sent so many bytes more, its connections are torn. Logs opened by `share` must not feel
   * it.
   */
  resetAfter?(bytes: number): void
  /** A fault: the engine is killed, and started again on what it has written. Resolves when it takes connections. */
  restart?(): Promise<void>
  /** A fault: opens a log with a password, or another secret, that the engine refuses. */
  impostor?(): Promise<{ readonly log: Log; readonly secret: string }>
  /** A fault: every record of a source is gone, as if somebody had deleted its stream, its topic, or its rows. */
  lose?(source: string): Promise<void>
  /** Closes what is open and removes what is left. */
  dispose(): Promise<void>
}

/** A fault that a {@link LogWorld} may be able to cause. */
export type FaultName =
  | 'stopWrites'
  | 'crash'
  | 'lose'
  | 'share'
  | 'stranger'
  | 'cut'
  | 'silence'
  | 'loseAnswers'
  | 'resetAfter'
  | 'restart'
  | 'impostor'

/** What a test needs of a test runner. `node:test`, Vitest, Jest and Mocha have it. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown
  it(name: string, body: () => Promise<void>): unknown
}

/** A promise that every log keeps, and how to see it. */
export interface LogTest {
  /** Stable: deviations and reports name it. */
  readonly id: string
  /** What the log promises, as a sentence. */
  readonly promise: string
  /** Which logs it is for; all, if left out. */
  when?(capabilities: LogCapabilities): boolean
  /** Which fault it needs. */
  readonly fault?: FaultName
  run(world: LogWorld, harness: LogHarness): Promise<void>
}

/** Tests of one kind. */
export interface LogChapter {
  readonly name: string
  readonly tests: readonly LogTest[]
}

/** How often a test looks for what must happen in the end: with five milliseconds each, for half a minute. */
export const pausesMax = 6_000

/** Resolves once `reached` does, looking again after each pause; rejects with what was waited for. */
export async function until(
  harness: LogHarness,
  what: string,
  reached: () => boolean | Promise<boolean>,
): Promise<void> {
  for (let pauses = 0; pauses < pausesMax; pauses++) {
    if (await reached()) return
    await harness.pause()
  }
  throw new Error(`waited ${pausesMax} pauses for this in vain: ${what}`)
}
