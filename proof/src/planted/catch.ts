import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { runTasks } from '../sim/pool.ts'
import type { TargetName } from '../sim/targets.ts'
import type { PlantedBug } from './bugs.ts'
import { assertPlantable } from './plant.ts'

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
 * Looks for a planted bug: with its test if it has one, else in `targets`, first to last, so many seeds of each at the
 * most, `first` before all others. Undefined if nothing notices. Rejects if the bug cannot be planted, or if runs with
 * it come to nothing: a thread that dies as it loads a bug has noticed nothing, and one that hangs may do so on a busy
 * machine.
 */
export async function catchBug(
  bug: PlantedBug,
  targets: readonly TargetName[],
  seedsMax: number,
  first?: number,
): Promise<Catch | undefined> {
  assertPlantable(bug)
  if (bug.test !== undefined) return failsIn(bug, bug.test)
  let lost = 0
  let lostBy = ''
  for (const target of bug.first && targets.includes(bug.first)
    ? [bug.first, ...targets.filter((one) => one !== bug.first)]
    : targets) {
    let seeds = 0
    let found: Catch | undefined
    const drawn = Array.from({ length: seedsMax }, (_, index) => ({ seed: index + 1 }))
    const tasks = first === undefined ? drawn : [{ seed: first }, ...drawn]
    await runTasks(
      tasks,
      { target, planted: bug, taskMsMax: TASK_MS_MAX, ...(first === undefined ? {} : { threads: 1 }) },
      (report) => {
        seeds++
        if (!report.failure) return 'go on'
        if (report.isLost || NOTHING_SEEN.includes(report.failure.invariant)) {
          lostBy = `${target}, seed ${report.seed}: ${report.failure.invariant}: ${report.failure.message}`
          return ++lost < LOST_MAX ? 'go on' : 'stop'
        }
        found ??= { name: bug.name, by: target, broken: report.failure.invariant, seeds, seed: Number(report.seed) }
        return 'stop'
      },
    )
    if (found) return controlled(found, target)
    if (lost >= LOST_MAX)
      throw new Error(
        `with the planted bug ${bug.name} ${lost} runs came to nothing, so nobody knows what would notice it; change the bug. The last of them: ${lostBy}`,
      )
  }
  return undefined
}

/** A seed that fails without the bug as well has found something else. */
async function controlled(found: Catch, target: TargetName): Promise<Catch> {
  await runTasks([{ seed: found.seed! }], { target, planted: undefined }, ({ failure }) => {
    // a simulation found it, by a seed
    if (failure)
      throw new Error(
        `seed ${found.seed} of the ${target} fails without the planted bug ${found.name}, too: ${failure.invariant}. Mend that first`,
      )
    return 'stop'
  })
  return found
}

function failsIn(bug: PlantedBug, test: string): Catch | undefined {
  const sound = runTest(test)
  if (sound.status !== 0) throw new Error(`${test} fails without the planted bug ${bug.name}, too. Mend that first`)
  const run = runTest(test, bug)
  if (run.status === 0) return undefined
  const broken =
    /^✖ (?!failing tests)(.*?)(?: \([\d.]+ms\))?$/m.exec(run.stdout)?.[1] ??
    /^\s*not ok \d+ - (.*)$/m.exec(run.stdout)?.[1]
  if (broken === undefined || broken.endsWith(test))
    throw new Error(
      `with the planted bug ${bug.name} ${test} ended before a test of it failed, so nobody knows whether one would; change the bug: ${run.stderr}`,
    )
  return { name: bug.name, by: test, broken, seeds: 1 }
}

function runTest(test: string, bug?: PlantedBug): { status: number | null; stdout: string; stderr: string } {
  const root = fileURLToPath(new URL('../../../', import.meta.url))
  const preload = new URL('preload.ts', import.meta.url).href
  // what is undefined is not set
  const env = { ...process.env, ATOLL_PLANTED: bug && JSON.stringify(bug), NODE_TEST_CONTEXT: undefined }
  return spawnSync(process.execPath, ['--import', preload, test], {
    cwd: root,
    env,
    encoding: 'utf8',
    timeout: TEST_MS_MAX,
  })
}

/** What fails when the code is not even there to be tried. */
const NOTHING_SEEN: readonly string[] = ['a run comes to its end', 'setup']
/** One run may be lost to a busy machine. */
const LOST_MAX = 2
/**
 * With some bugs a system waits for ever, in no virtual time. Long enough for a machine that is busy with other things.
 */
const TASK_MS_MAX = 3 * 60_000
const TEST_MS_MAX = 15 * 60_000
