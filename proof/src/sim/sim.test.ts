import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readRegressions } from '@atoll/testkit'
import { runTasks, type Task, type TaskReport } from './pool.ts'
import type { TargetName } from './targets.ts'

// A few hundred seeds, besides those that failed once. `npm run sim -- --seeds N` runs any number.

describe('under a seed', () => {
  it('a bank neither makes nor loses money, whatever goes wrong', () => holds('bank', 150))
  it('Conduit shows everybody what they have just done, and everybody the same in the end, whatever goes wrong', () =>
    holds('conduit', 60))
  it('a desk is heard as it spoke, and did what it answered and nothing else, whatever people say and whatever goes wrong', () =>
    holds('desk', 40))
  it('what comes back from any moments in part is handled whole, or says that it cannot be', () =>
    holds('restores', 60))
})

async function holds(target: TargetName, seeds: number): Promise<void> {
  const kept: Task[] = readRegressions(fileURLToPath(new URL(`../../regressions/${target}.json`, import.meta.url)))
  const drawn: Task[] = Array.from({ length: seeds }, (_, index) => ({ seed: index + 1, twice: index % 20 === 0 }))
  const failed: TaskReport[] = []
  await runTasks([...kept, ...drawn], { target, planted: undefined }, (report) => {
    if (report.failure) failed.push(report)
    return report.failure ? 'stop' : 'go on'
  })
  assert.deepEqual(
    failed.map(({ seed, failure }) => `seed ${seed}: ${failure!.invariant}: ${failure!.message}`),
    [],
    `npm run sim -- ${target} says more`,
  )
}
