import { engineLimits, type EngineLimits } from '../shared/limits.ts'

/** How much a log on Redis takes on before it says no, and how long it waits. */
export interface RedisLogLimits extends EngineLimits {
  /**
   * The most records that one run of a script writes; Redis serves nobody else meanwhile. A larger append takes
   * several.
   */
  readonly scriptRecordsMax: number
  /** The most bytes of `data` that one run of a script writes. A larger append takes several. */
  readonly scriptBytesMax: number
  /** The most calls that Redis has not answered yet; more are refused with OVERLOADED. */
  readonly queuedCallsMax: number
}

export const defaultLimits: RedisLogLimits = {
  ...engineLimits,
  scriptRecordsMax: 1_000,
  scriptBytesMax: 4 * 1024 * 1024,
  queuedCallsMax: 10_000,
}
