import type { Host } from '@atoll/host'

/** What balancing knows of an instance. */
export interface Candidate {
  readonly inFlight: number
  readonly isOut: boolean
  readonly isFull: boolean
}

/**
 * One of those that take calls: of two drawn by chance, the one with fewer calls in flight. Nearly as even as looking
 * at all of them, and it does not send everybody to the same one, as looking for the idlest does. An instance that
 * hangs collects calls, and gets fewer before anything else is known of it.
 */
export function choose<C extends Candidate>(candidates: readonly C[], host: Host): C | undefined {
  const open = candidates.filter((candidate) => !candidate.isOut && !candidate.isFull)
  if (open.length <= 1) return open[0]
  const first = Math.floor(host.random() * open.length)
  const other = Math.floor(host.random() * (open.length - 1))
  const [a, b] = [open[first]!, open[other < first ? other : other + 1]!] // both lie within
  return b.inFlight < a.inFlight ? b : a
}
