/** Every limit of the PostgreSQL stores. */
export interface PostgresLimits {
  /** The most transactions that may wait for the writer of one store in this process. Default 10,000. */
  readonly writesQueuedMax: number
  /**
   * The most transactions that share one physical commit. PostgreSQL keeps track of 64 savepoints cheaply, and of more
   * it does not. Default 60.
   */
  readonly groupWritesMax: number
  /**
   * How long a group may stay open for more transactions to join, milliseconds; it stays open no longer than some wait.
   * Default 100: where the server answers slowly, as many as wait share a commit, and other processes that write the
   * store get their turn.
   */
  readonly groupOpenMs: number
  /**
   * How long a work may take in all, milliseconds, whatever it waits for. Others wait for the same writer. Default
   * 5,000.
   */
  readonly workMs: number
  /** How long to wait for the writer while another process has it, milliseconds; then OVERLOADED. Default 10,000. */
  readonly lockMs: number
  /**
   * A process that stops in the midst of a transaction loses it after so long, milliseconds, and others go on. Default
   * 3,000.
   */
  readonly idleMs: number
  /** How long a statement may take, milliseconds; then UNAVAILABLE. Default 30,000. */
  readonly callMs: number
  /** The most connections that read from one store. Default 4. */
  readonly readersMax: number
}

export const defaultLimits: PostgresLimits = {
  writesQueuedMax: 10_000,
  groupWritesMax: 60,
  groupOpenMs: 100,
  workMs: 5_000,
  lockMs: 10_000,
  idleMs: 3_000,
  callMs: 30_000,
  readersMax: 4,
}
