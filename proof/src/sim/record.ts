import { fileURLToPath } from 'node:url'
import type { TargetName } from './targets.ts'

/** What one target's seeds came to. */
export interface Summary {
  target: TargetName
  seeds: number
  events: number
  faults: number
  leastEvents: number
  leastFaults: number
  seconds: number
  /** Over all traces in the order of their seeds: the same on every machine. */
  digest: string
  failures: { seed: number | string; invariant: string }[]
}

/** A run of `npm run sim` that was kept. */
export interface SimRecord {
  readonly date: string
  readonly machine: string
  readonly node: string
  readonly commit: string
  readonly results: readonly Summary[]
}

/** Where `npm run sim -- --record` keeps it. */
export const simRecordFile = fileURLToPath(new URL('../../recorded/sim.json', import.meta.url))
