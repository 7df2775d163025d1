import { parentPort, workerData } from 'node:worker_threads'
import { plant } from '../planted/plant.ts'
import type { Task, TaskReport, WorkerData } from './pool.ts'

// Runs seeds, one after the other, in a thread of its own. Everything that a planted bug may be in is imported after it
// is planted.

const { target: name, planted } = workerData as WorkerData // the pool's
if (planted !== undefined) plant(planted)

const { AtollError } = await import('@atoll/host')
const { assertSame, runSeed } = await import('@atoll/testkit')
const { targets } = await import('./targets.ts')
const { system, simulation } = await targets[name]()

parentPort!.on('message', (task: Task) => {
  void run(task).then((report) => parentPort!.postMessage(report))
})
parentPort!.postMessage('ready')

async function run({ seed, faults, twice }: Task): Promise<TaskReport> {
  const startedMs = performance.now()
  try {
    const report = await runSeed(system, simulation, seed, faults)
    if (twice && !report.failure) await assertSame(system, simulation, report, faults)
    const { failure, ...rest } = report
    return {
      ...rest,
      tookMs: performance.now() - startedMs,
      failure: failure && { invariant: failure.invariant, message: messageOf(failure.error) },
    }
  } catch (error) {
    const invariant =
      error instanceof AtollError && error.code === 'NONDETERMINISTIC'
        ? 'two runs of a seed are the same'
        : 'a run comes to its end'
    return {
      seed,
      events: 0,
      faults: faults ?? [],
      happened: 0,
      trace: '',
      elapsedMs: 0,
      tookMs: performance.now() - startedMs,
      failure: { invariant, message: messageOf(error) },
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
