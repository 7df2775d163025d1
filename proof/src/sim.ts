import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { describeFault, keepRegression, readRegressions, shrinkFaults } from '@atoll/testkit'
import { runTasks, type Task, type TaskReport } from './sim/pool.ts'
import { createProgress } from './sim/progress.ts'
import { simRecordFile, type SimRecord, type Summary } from './sim/record.ts'
import { targetNames, type TargetName } from './sim/targets.ts'

// npm run sim -- [bank|conduit …] [--seeds 1000] [--from 1] [--twice] [--record] [--json]: simulates, on every core.

/** After so many failures more of them say nothing new. */
const FAILURES_MAX = 3

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    twice: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log(`npm run sim -- [${targetNames.join('|')} …] [options]

  --seeds N   how many seeds of each to run (200)
  --from N    the first of them (1); one seed alone: --from N --seeds 1
  --twice     run each seed twice, and see that both runs are the same
  --record    keep what came of it in proof/recorded
  --json      one object on standard output, in place of words

Seeds that failed once are kept in proof/regressions, and run first.`)
} else await main()

async function main(): Promise<void> {
  const unknown = positionals.find((name) => !targetNames.includes(name as TargetName))
  if (unknown !== undefined) return usage(`there is no simulation ${unknown}; there are ${targetNames.join(' and ')}`)
  const [seeds, from] = [Number(values.seeds), Number(values.from)]
  if (!Number.isSafeInteger(seeds) || seeds < 1 || !Number.isSafeInteger(from) || from < 0)
    return usage('--seeds and --from want whole numbers, as in --seeds 1000 --from 1')
  const summaries: Summary[] = []
  for (const target of positionals.length > 0 ? (positionals as TargetName[]) : targetNames)
    summaries.push(await simulateTarget(target, from, seeds))
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`
  const record: SimRecord = {
    date: new Date().toISOString().slice(0, 10),
    machine,
    node: process.version,
    commit,
    results: summaries,
  }
  if (values.record) writeFileSync(simRecordFile, `${JSON.stringify(record, null, 2)}\n`)
  if (values.json) console.log(JSON.stringify(record))
  if (summaries.some(({ failures }) => failures.length > 0)) process.exitCode = 1
}

async function simulateTarget(target: TargetName, from: number, seeds: number): Promise<Summary> {
  const file = fileURLToPath(new URL(`../regressions/${target}.json`, import.meta.url))
  const kept: Task[] = readRegressions(file).map(({ seed, faults }) => ({ seed, faults }))
  const drawn: Task[] = Array.from({ length: seeds }, (_, index) => ({ seed: from + index, twice: values.twice }))
  const progress = createProgress(target, kept.length + seeds)
  const failed: TaskReport[] = []
  const traces = new Map<number, string>()
  const summary: Summary = {
    target,
    seeds,
    events: 0,
    faults: 0,
    leastEvents: Infinity,
    leastFaults: Infinity,
    seconds: 0,
    digest: '',
    failures: [],
  }
  const startedMs = performance.now()
  await runTasks(kept, { target, planted: undefined }, (report) => {
    progress.step(`seed ${report.seed}, kept`)
    if (report.failure) failed.push(report)
    return 'go on'
  })
  await runTasks(drawn, { target, planted: undefined }, (report) => {
    progress.step(`seed ${report.seed}`)
    if (report.failure) failed.push(report)
    summary.events += report.events
    summary.faults += report.happened
    summary.leastEvents = Math.min(summary.leastEvents, report.events)
    summary.leastFaults = Math.min(summary.leastFaults, report.happened)
    traces.set(Number(report.seed), report.trace)
    return failed.length < FAILURES_MAX ? 'go on' : 'stop'
  })
  summary.seconds = (performance.now() - startedMs) / 1_000
  progress.end()
  const hash = createHash('sha256')
  for (const seed of [...traces.keys()].sort((a, b) => a - b)) hash.update(`${seed} ${traces.get(seed)}\n`)
  summary.digest = hash.digest('hex').slice(0, 16)
  for (const report of failed) {
    summary.failures.push({ seed: report.seed, invariant: report.failure!.invariant })
    await explain(target, file, report)
  }
  if (!values.json) console.log(describe(summary))
  return summary
}

/** Says what is wrong, with the shortest list of faults that leads to it, and keeps it. */
async function explain(target: TargetName, file: string, report: TaskReport): Promise<void> {
  const { seed, failure } = report
  const { invariant, message } = failure! // only failed runs come here
  const faults = await shrinkFaults(report.faults, async (fewer) => {
    let same = false
    await runTasks([{ seed, faults: fewer }], { target, planted: undefined }, (shorter) => {
      same = shorter.failure?.invariant === invariant
      return 'stop'
    })
    return same
  })
  keepRegression(file, { seed, invariant, faults })
  console.error(
    [
      `\n✗ ${target}, seed ${seed}: ${invariant}`,
      message.replaceAll(/^/gm, '  '),
      `  with ${faults.length} of ${report.faults.length} faults:`,
      ...faults.map((fault) => `  - ${describeFault(fault)}`),
      `  kept in ${file}; to replay it: npm run sim -- ${target} --from ${seed} --seeds 1`,
    ].join('\n'),
  )
}

function describe({
  target,
  seeds,
  events,
  faults,
  leastEvents,
  leastFaults,
  seconds,
  digest,
  failures,
}: Summary): string {
  return `${failures.length === 0 ? '✓' : '✗'} ${target}: ${seeds} seeds, ${events} events (${leastEvents} at the least), ${faults} faults (${leastFaults} at the least), ${seconds.toFixed(1)} s, ${(seeds / seconds).toFixed(1)} seeds a second, digest ${digest}`
}

function usage(message: string): void {
  console.error(`${message}. npm run sim -- --help says more`)
  process.exitCode = 2
}
