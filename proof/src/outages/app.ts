import type { System } from 'atoll'
import type { Counts } from '../crash/history.ts'
import type { Cluster } from './cluster.ts'

/** A system that outages befall, and what is made of it. */
export interface App {
  readonly system: System
  /** Exports it, and perhaps what its gateway should be like; from the root of the repository. */
  readonly module: string
  /** The services that share a process. Each group runs twice. */
  readonly groups: readonly (readonly string[])[]
  createTrial(cluster: Cluster, seed: number): Trial
}

/** A client that writes to a cluster, what it was told, and what the cluster is held to by it. */
export interface Trial {
  /** What became of its requests, up to its last rest. */
  readonly counts: Counts
  /** How many were acknowledged so far, also since its last rest. */
  readonly acknowledged: number
  /** Prepares what the client needs, which rests at first. The cluster is ready. */
  start(): Promise<void>
  /** Lets the client send requests until it is told to rest. */
  run(): void
  /** Resolves when no request is under way any more. */
  rest(): Promise<void>
  /**
   * Waits until everything has come to rest, `boundMs` at the most, and holds what is there against what the client was
   * told. Resolves with how long that took, milliseconds. Throws a `Violation`.
   */
  check(boundMs: number, everything: boolean): Promise<number>
  stop(): Promise<void>
}
