import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Fault, RunReport } from '@atoll/testkit'
import type { PlantedBug } from '../planted/bugs.ts'
import type { TargetName } from './targets.ts'

export interface WorkerData {
  readonly target: TargetName
  /** A bug that is planted in the code under test. */
  readonly planted: PlantedBug | undefined
}

/** One seed to run. */
export interface Task {
  readonly seed: number | string
  /** Instead of those that the seed draws. */
  readonly faults?: readonly Fault[] | undefined
  /** Run it again, and see that nothing is different. */
  readonly twice?: boolean | undefined
}

export interface TaskReport extends Omit<RunReport, 'failure'> {
  readonly tookMs: number
  readonly failure: { readonly invariant: string; readonly message: string } | undefined
  /** It hung, or brought its thread down: nothing was found out. */
  readonly isLost?: boolean
}

export interface PoolOptions extends WorkerData {
  /** Threads. Default: one for each core. */
  readonly threads?: number
  /** A seed that takes longer than this hangs, milliseconds. */
  readonly taskMsMax?: number
}

/**
 * Runs tasks side by side, in threads of their own. Calls `onReport` for each as it ends, until it answers `stop`. A
 * task that hangs or brings its thread down is reported as failed.
 */
export async function runTasks(
  tasks: readonly Task[],
  options: PoolOptions,
  onReport: (report: TaskReport) => 'go on' | 'stop',
): Promise<void> {
  const queue = [...tasks]
  let stopped = false
  const threads = Math.min(options.threads ?? availableParallelism(), tasks.length)
  await Promise.all(
    Array.from({ length: threads }, async () => {
      let worker: TaskWorker | undefined
      for (let task = queue.shift(); task && !stopped; task = queue.shift()) {
        worker ??= new TaskWorker(options)
        const report = await worker.run(task, options.taskMsMax ?? TASK_MS_MAX)
        if (report.isLost) worker = undefined
        if (onReport(report) === 'stop') stopped = true
      }
      await worker?.end()
    }),
  )
}

class TaskWorker {
  readonly #worker: Worker
  readonly #data: WorkerData

  constructor({ target, planted }: WorkerData) {
    this.#data = { target, planted }
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: this.#data,
      resourceLimits: { maxYoungGenerationSizeMb: 64 },
    })
  }

  run(task: Task, taskMsMax: number): Promise<TaskReport> {
    const worker = this.#worker
    return new Promise((resolve) => {
      const lost = (message: string): void => {
        end()
        void worker.terminate()
        const failure = { invariant: 'a run comes to its end', message }
        resolve({
          seed: task.seed,
          events: 0,
          faults: task.faults ?? [],
          happened: 0,
          trace: '',
          elapsedMs: 0,
          tookMs: taskMsMax,
          failure,
          isLost: true,
        })
      }
      const onMessage = (message: TaskReport | 'ready'): void => {
        if (message === 'ready') return
        end()
        resolve(message)
      }
      const onError = (error: unknown): void =>
        lost(error instanceof Error ? (error.stack ?? error.message) : String(error))
      const timer = setTimeout(() => lost(`it was not done after ${taskMsMax} ms`), taskMsMax)
      const end = (): void => {
        clearTimeout(timer)
        worker.off('message', onMessage).off('error', onError)
      }
      worker.on('message', onMessage).on('error', onError)
      worker.postMessage(task)
    })
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }
}

/** Only there to end what hangs. A seed takes about a second, on a machine that has nothing else to do. */
const TASK_MS_MAX = 10 * 60_000
