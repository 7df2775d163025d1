/** Every limit of the SQLite stores. */
export interface SqliteLimits {
  /** The most transactions that may wait for the writer of one store. Default 10,000. */
  readonly writesQueuedMax: number
  /**
   * The most transactions that share one physical commit. Default 1,000; 1 in a store with deferred foreign keys, which
   * the commit checks, and for a while after a commit that was refused.
   */
  readonly groupWritesMax: number
  /** How long a group may stay open for more transactions to join, milliseconds. Default 20. */
  readonly groupOpenMs: number
}

export const defaultLimits: SqliteLimits = {
  writesQueuedMax: 10_000,
  groupWritesMax: 1_000,
  groupOpenMs: 20,
}
