import { commonLimits, type CommonLimits } from '../shared/limits.ts'

/** How much an embedded log takes on before it says no. */
export interface EmbeddedLogLimits extends CommonLimits {
  /**
   * How many bytes of the newest records stay in memory, roughly counted, so that readers who keep up need no file. 0
   * turns it off.
   */
  readonly recentBytesMax: number
}

export const defaultLimits: EmbeddedLogLimits = {
  ...commonLimits,
  recentBytesMax: 8 * 1024 * 1024,
}
