/** Every limit of a client for calls. */
export interface ClientLimits {
  /** Time that a call has when nobody says otherwise, milliseconds. Default 10,000. */
  readonly deadlineMs: number
  /** Time for a connection to be made, milliseconds. Default 1,000: the machines are near. */
  readonly connectMs: number
  /**
   * Calls under way to one instance at a time, each on a connection of its own; more go to others, or are refused.
   * Default 256.
   */
  readonly callsPerInstanceMax: number
  /** Largest output of an operation, as JSON, bytes; servers are told, and more is ANSWER_TOO_LARGE. Default 16 MiB. */
  readonly answerBytesMax: number
  /** Instances that one call tries. Default 3. */
  readonly triesMax: number
  /** What each call adds to the budget for retries: 0.1 lets a tenth of the calls be tried again. Default 0.1. */
  readonly retryRatio: number
  /** Retries per second that the budget allows at least, so that few calls can be tried again too. Default 5. */
  readonly retriesPerSecondMin: number
  /**
   * Calls in a row that an instance may lose before it is left out. One that refuses or hangs is left out at once.
   * Default 3.
   */
  readonly lostInARowMax: number
  /**
   * How long an instance may be silent while calls wait for it before it is asked whether it lives, milliseconds.
   * Default 1,000.
   */
  readonly silentMs: number
  /** How long it may take to say so; then it hangs, milliseconds. Default 1,000. */
  readonly aliveMs: number
  /**
   * How soon an instance that is left out is asked whether it is ready, milliseconds; it doubles with each time.
   * Default 200.
   */
  readonly outMsMin: number
  /** The longest that it takes until it is asked again, milliseconds. Default 2,000. */
  readonly outMsMax: number
}

export const defaultClientLimits: ClientLimits = {
  deadlineMs: 10_000,
  connectMs: 1_000,
  callsPerInstanceMax: 256,
  answerBytesMax: 16 * 2 ** 20,
  triesMax: 3,
  retryRatio: 0.1,
  retriesPerSecondMin: 5,
  lostInARowMax: 3,
  silentMs: 1_000,
  aliveMs: 1_000,
  outMsMin: 200,
  outMsMax: 2_000,
}
