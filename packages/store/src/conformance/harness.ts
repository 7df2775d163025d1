import type { StoreCapabilities, StoreDriver } from '../driver.ts'

/** How the suite gets at a driver. Write one for yours, and hand it to `testStores`. */
export interface StoreHarness {
  /**
   * What the driver says of itself. The suite checks that it does, then chooses its tests by it. Let `writesQueuedMax`
   * be small, say 20: the tests of overload write more than that.
   */
  readonly capabilities: StoreCapabilities

  /** A driver without stores, that no other test touches. */
  open(): Promise<StoreWorld>

  /**
   * Lets a driver go on with what it does by itself, and resolves: the next turn of the event loop for one in this
   * process, some milliseconds for one on a server. A test that waits for something pauses at most {@link pausesMax}
   * times.
   */
  pause(): Promise<void>

  /**
   * Promises that the driver is known not to keep: id of the test → why. Such a test must fail; once it passes, it is
   * reported so that the entry is deleted. Nothing is skipped unseen.
   */
  readonly deviations?: Readonly<Record<string, string>>
}

/** The stores of one test. */
export interface StoreWorld {
  readonly driver: StoreDriver
  /** Closes what is open and removes what is left. */
  dispose(): Promise<void>
}

/** What a test needs of a test runner. `node:test`, Vitest, Jest and Mocha have it. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown
  it(name: string, body: () => Promise<void>): unknown
}

/** A promise that every driver keeps, and how to see it. */
export interface StoreTest {
  /** Stable: deviations and reports name it. */
  readonly id: string
  /** What a store promises, as a sentence. */
  readonly promise: string
  /** Which drivers it is for; all, if left out. */
  when?(capabilities: StoreCapabilities): boolean
  run(driver: StoreDriver, harness: StoreHarness): Promise<void>
}

/** Tests of one kind. */
export interface StoreChapter {
  readonly name: string
  readonly tests: readonly StoreTest[]
}

/** How often a test looks for what must happen in the end. */
const pausesMax = 1000

/**
 * What became of a promise. Rejects if nothing has after {@link pausesMax} pauses, so that a driver that hangs fails
 * one test only.
 */
export async function outcomeOf<T>(harness: StoreHarness, promise: Promise<T>): Promise<Outcome<T>> {
  let outcome: Outcome<T> | undefined
  promise.then(
    (value) => (outcome = { ok: true, value }),
    (error: unknown) => (outcome = { ok: false, error }),
  )
  for (let pauses = 0; pauses < pausesMax; pauses++) {
    await harness.pause()
    if (outcome) return outcome
  }
  throw new Error(`this was not settled after ${pausesMax} pauses`)
}

export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown }

/** {@link outcomeOf}, for several. */
export function outcomesOf<T>(harness: StoreHarness, promises: readonly Promise<T>[]): Promise<Outcome<T>[]> {
  return Promise.all(promises.map((promise) => outcomeOf(harness, promise)))
}
