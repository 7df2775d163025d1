/**
 * What can befall an engine, the mildest first. A store or log survives one if nothing that was acknowledged is lost by
 * it.
 */
export const mishaps = ['process kill', 'OS crash', 'power loss', 'loss of a node'] as const

/** One of {@link mishaps}. */
export type Mishap = (typeof mishaps)[number]

/**
 * What a driver found when it looked at the real settings of its engine. For `atoll doctor`, and for the check before
 * each start.
 */
export interface Examination {
  /** The engine's own name: `PostgreSQL`, `NATS JetStream`. */
  readonly engine: string
  /** As the engine reports it. */
  readonly version: string
  /**
   * Tells the server that was examined from others, where that is possible: what is found twice on one is one thing,
   * and on two it is two.
   */
  readonly server?: string
  readonly findings: readonly Finding[]
  /** By what was found: whether everything acknowledged is still there afterwards. */
  readonly survives: Readonly<Record<Mishap, boolean>>
}

/** One setting of an engine, and what follows from it. */
export interface Finding {
  /** Stable, by which it can be accepted: `postgres.fsync`. */
  readonly name: string
  /** The value, as the engine says it. */
  readonly value: string
  /**
   * `holds`: as it should be. `note`: worth knowing, breaks no promise. `breaks`: a promise cannot be kept; a start is
   * refused unless this finding is accepted by name. `unknown`: the engine would not say, and a promise hangs on it;
   * `message` tells why, and how to make sure. It is warned of until it is accepted by name.
   */
  readonly verdict: 'holds' | 'note' | 'breaks' | 'unknown'
  /** What it means; for one that breaks a promise, which one, and what to set. */
  readonly message: string
}
