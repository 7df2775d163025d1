import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { runTasks } from '../sim/pool.ts'
import type { TargetName } from '../sim/targets.ts'
import type { PlantedBug } from './bugs.ts'

/** How a planted bug was found. */
export interface Catch {
  readonly name: string
  /** What found it: a simulation, or a test file. */
  readonly by: string
  /** What was seen to be broken. */
  readonly broken: string
  /** How many seeds of that simulation it took; 1 for a test. */
  readonly seeds: number
  /** The seed that found it, of a simulation. */
  readonly seed?: number
}

/** Where catches are recorded, of the last `npm run planted`. */
export const recordFile = fileURLToPath(new URL('../../recorded/planted.json', import.meta.url))

/**
 * Looks for a planted bug: with its test if it has one, else in `targets`, first to last, so many seeds of each at the most, `first`
 * before all others. Undefined if nothing notices.
 */
export async function catchBug(bug: PlantedBug, targets: readonly TargetName[], seedsMax: number, first?: number): Promise<Catch | undefined> {
  if (bug.test !== undefined) return failsIn(bug, bug.test)
  for (const target of bug.first && targets.includes(bug.first) ? [bug.first, ...targets.filter((one) => one !== bug.first)] : targets) {
    let seeds = 0
    let found: Catch | undefined
    const drawn = Array.from({ length: seedsMax }, (_, index) => ({ seed: index + 1 }))
    const tasks = first === undefined ? drawn : [{ seed: first }, ...drawn]
    await runTasks(tasks, { target, planted: bug.name, taskMsMax: TASK_MS_MAX, ...(first === undefined ? {} : { threads: 1 }) }, (report) => {
      seeds++
      if (!report.failure) return 'go on'
      found ??= { name: bug.name, by: target, broken: report.failure.invariant, seeds, seed: Number(report.seed) }
      return 'stop'
    })
    if (found) return controlled(found, target)
  }
  return undefined
}

/** A seed that fails without the bug as well has found something else. */
async function controlled(found: Catch, target: TargetName): Promise<Catch> {
  await runTasks([{ seed: found.seed! }], { target, planted: undefined }, ({ failure }) => { // a simulation found it, by a seed
    if (failure) throw new Error(`seed ${found.seed} of the ${target} fails without the planted bug ${found.name}, too: ${failure.invariant}. Mend that first`)
    return 'stop'
  })
  return found
}

function failsIn(bug: PlantedBug, test: string): Catch | undefined {
  const root = fileURLToPath(new URL('../../../', import.meta.url))
  const preload = new URL('preload.ts', import.meta.url).href
  const run = spawnSync(process.execPath, ['--import', preload, test], { cwd: root, env: { ...process.env, ATOLL_PLANTED: bug.name, NODE_TEST_CONTEXT: undefined }, encoding: 'utf8' })
  const first = /^✖ (?!failing tests)(.*?)(?: \([\d.]+ms\))?$/m.exec(run.stdout)?.[1] ?? /^\s*not ok \d+ - (.*)$/m.exec(run.stdout)?.[1] ?? 'the test file'
  return run.status === 0 ? undefined : { name: bug.name, by: test, broken: first, seeds: 1 }
}

/** With some bugs a system waits for ever, in no virtual time. */
const TASK_MS_MAX = 20_000
