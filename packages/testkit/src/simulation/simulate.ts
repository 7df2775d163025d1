import { execFileSync } from 'node:child_process'
import { AtollError, describeThrown } from '@atoll/host'
import type { System } from 'atoll'
import { describeFault, type Fault } from './fault.ts'
import { keepRegression, readRegressions } from './regressions.ts'
import { runSeed, type RunReport, type Simulation } from './run.ts'
import { shrinkFaults } from './shrink.ts'

export interface SimulateOptions<State> extends Simulation<State> {
  /** How many seeds are run. Default 100. */
  readonly runs?: number
  /** The first of them; the others follow. Default 1. */
  readonly seed?: number
  /** A file of runs that failed once. They are run first, and a new failure is added. Keep it with the code. */
  readonly regressions?: string
  /** Of how many seeds each is run twice, to see that both runs are the same. Default 1. */
  readonly repeated?: number
  /** Told after each run. */
  readonly onRun?: (report: RunReport) => void
}

/** What the runs of a simulation came to. */
export interface SimulationReport {
  readonly runs: number
  readonly events: number
  readonly faults: number
  /** The least events and faults of any seed. */
  readonly least: { readonly events: number; readonly faults: number }
}

/**
 * Runs a system under load, again and again: each seed draws what clients do, in which order things happen, and what
 * goes wrong, and the invariants are held against it while it runs and after it has settled. Rejects with
 * INVARIANT_BROKEN at the first failure, with its seed, the shortest list of faults that still leads to it, and how to
 * replay it. `ATOLL_SEED` in the environment runs that seed alone, as it was kept and as it is drawn.
 */
export async function simulate<State>(system: System, options: SimulateOptions<State>): Promise<SimulationReport> {
  const { runs = 100, seed: first = 1, repeated = 1, regressions, onRun } = options
  const wanted = process.env['ATOLL_SEED']
  const total = { runs: 0, events: 0, faults: 0, least: { events: Infinity, faults: Infinity } }
  const take = async (seed: number | string, faults?: readonly Fault[]): Promise<RunReport> => {
    const report = await runSeed(system, options, seed, faults)
    total.runs++
    total.events += report.events
    total.faults += report.happened
    onRun?.(report)
    if (report.failure) throw await explain(system, options, report)
    return report
  }

  const kept = readRegressions(regressions)
  if (wanted !== undefined) {
    for (const { seed, faults } of kept) if (String(seed) === wanted) await take(seed, faults)
    await take(wanted)
  } else {
    for (const { seed, faults } of kept) await take(seed, faults)
    for (let seed = first; seed < first + runs; seed++) {
      const report = await take(seed)
      total.least = {
        events: Math.min(total.least.events, report.events),
        faults: Math.min(total.least.faults, report.happened),
      }
      if (seed < first + repeated) await assertSame(system, options, report)
    }
  }
  return total
}

/** Runs a seed again, with the `faults` that it was given, if it was. NONDETERMINISTIC if anything was different. */
export async function assertSame<State>(
  system: System,
  simulation: Simulation<State>,
  report: RunReport,
  faults?: readonly Fault[],
): Promise<void> {
  const again = await runSeed(system, simulation, report.seed, faults)
  if (again.trace === report.trace) return
  throw new AtollError(
    'NONDETERMINISTIC',
    `two runs of seed ${report.seed} of ${system.name} were not the same (${report.trace}, ${again.trace}). Something in it does not come from the world: a clock, chance, a thread, or what an earlier run left in a variable`,
  )
}

async function explain<State>(system: System, options: SimulateOptions<State>, report: RunReport): Promise<AtollError> {
  const { seed, failure } = report
  const { invariant, error } = failure! // asked for because there is one
  const faults = await shrinkFaults(
    report.faults,
    async (fewer) => (await runSeed(system, options, seed, fewer)).failure?.invariant === invariant,
  )
  if (options.regressions !== undefined) keepRegression(options.regressions, { seed, invariant, faults })
  const lines = [
    `seed ${seed} of ${system.name}${commit()}: ${invariant}`,
    `  ${describeThrown(error).message}`,
    faults.length === 0 ? '  with no fault at all' : `  with ${faults.length} of ${report.faults.length} faults:`,
    ...faults.map((fault) => `    - ${describeFault(fault)}`),
    `  to replay it: ATOLL_SEED=${seed} ${['node', ...process.execArgv, ...process.argv.slice(1)].join(' ')}`,
  ]
  if (options.regressions !== undefined)
    lines.push(`  it was added to ${options.regressions}, and runs first from now on`)
  return new AtollError('INVARIANT_BROKEN', lines.join('\n'), { cause: error, details: { seed, invariant, faults } })
}

/** The seed means this only together with the code. */
function commit(): string {
  try {
    return ` at ${execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()}`
  } catch {
    return '' // not in a repository, or no git
  }
}
