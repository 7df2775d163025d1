import { engineLimits, type EngineLimits } from '../shared/limits.ts'

/** How much a PostgreSQL log takes on before it says no, and how long it waits. */
export interface PostgresLogLimits extends EngineLimits {
  /** The most records that one commit carries. One append alone may exceed it. */
  readonly commitRecordsMax: number
  /**
   * The most bytes of `data`, a character counted as one, that travel in one statement; a commit of more takes several.
   * One record alone may exceed it.
   */
  readonly statementBytesMax: number
  /** The most connections at a time; one more, while somebody watches. */
  readonly connectionsMax: number
}

export const defaultLimits: PostgresLogLimits = {
  ...engineLimits,
  dataBytesMax: 1024 * 1024,
  commitRecordsMax: 10_000,
  statementBytesMax: 8 * 1024 * 1024,
  connectionsMax: 4,
  callMs: 10_000,
  connectMs: 5_000,
  reconnectMsMax: 5_000,
}
