import type { Fault } from './fault.ts'

/**
 * Leaves out of a list of faults what is not needed for a failure: first half of it, then ever smaller parts (delta
 * debugging, Zeller and Hildebrandt 2002). `fails` runs the seed with a list; it is asked `runsMax` times at the most.
 */
export async function shrinkFaults(
  faults: readonly Fault[],
  fails: (faults: readonly Fault[]) => Promise<boolean>,
  runsMax = RUNS_MAX,
): Promise<readonly Fault[]> {
  let least = faults
  let runs = 0
  for (let size = Math.ceil(least.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < least.length && runs < runsMax;) {
      const rest = [...least.slice(0, from), ...least.slice(from + size)]
      runs++
      if (await fails(rest)) least = rest
      else from += size
    }
  }
  return least
}

const RUNS_MAX = 60
