import { parseArgs } from 'node:util'
import { engineNames, type EngineName } from '@atoll/engines'
import { bankApp } from './outages/bank.ts'
import { conduitApp } from './outages/conduit.ts'
import { RECOVERY_MS } from './outages/cluster.ts'
import { outages, type Summary } from './outages/loop.ts'
import { record, toRecord } from './outages/record.ts'

// `npm run outages`: Conduit, or the bank, as separate processes on PostgreSQL and an engine for its log, under load,
// while processes and engines are killed and stand still and networks fail; and held to account.

const usage = `npm run outages -- [postgres|nats|kafka|rabbitmq|redis …] [--app conduit|bank] [--kills <number>] [--seconds <number>] [--recovery-seconds 30] [--seed <number>] [--json] [--record]
kills services so often, and the log's engine as often (10 without a number), with whatever else befalls a system between; with --seconds, for so long at the most, and then holds the system to account`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    app: { type: 'string', default: 'conduit' },
    kills: { type: 'string', default: '10' },
    seconds: { type: 'string', default: 'Infinity' },
    'recovery-seconds': { type: 'string', default: String(RECOVERY_MS / 1_000) },
    seed: { type: 'string' },
    json: { type: 'boolean' },
    record: { type: 'boolean' },
    help: { type: 'boolean' },
  },
})
const names =
  positionals.length === 0
    ? [...engineNames]
    : positionals.filter((name): name is EngineName => (engineNames as readonly string[]).includes(name))
const [kills, secondsMax, recoveryMs] = [
  Number(values.kills),
  Number(values.seconds),
  Number(values['recovery-seconds']) * 1_000,
]
const app = [conduitApp, bankApp].find(({ system }) => system.name === values.app)
if (
  values.help ||
  !app ||
  names.length < positionals.length ||
  !(kills > 0) ||
  !(secondsMax > 0) ||
  !(recoveryMs > 0)
) {
  console.log(usage)
  process.exit(values.help ? 0 : 2)
}
// and what it has started ends with it
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
let failed = 0
for (const log of names) {
  const seed = Number(values.seed ?? Date.now() % 2 ** 31)
  const startedMs = performance.now()
  let toldMs = startedMs
  const summary = await outages({
    app,
    log,
    kills,
    secondsMax,
    recoveryMs,
    seed,
    onMishap(soFar) {
      if (performance.now() - toldMs < 5_000) return
      toldMs = performance.now()
      console.error(
        `${log}: ${soFar.kills.service} services and ${log === 'postgres' ? soFar.kills.stores : soFar.kills.log} engines of ${kills} killed`,
      )
    },
  })
  const seconds = Math.round((performance.now() - startedMs) / 1_000)
  console.log(values.json ? JSON.stringify(toRecord(summary, seconds)) : format(summary, seconds))
  if (values.record) record(toRecord(summary, seconds))
  if (summary.violation) failed++
}
process.exit(failed === 0 ? 0 : 1)

function format(
  { app, log, seed, kills, mishaps, mishapsMs, underWork, requests, recoveriesMs, recoveryMsBound, violation }: Summary,
  seconds: number,
): string {
  return [
    `${app}, log on ${log}: ${kills.service} kills of services and their relays, ${kills.log} of the log, ${kills.stores} of the stores, ${kills.gateway} of the gateway, in ${seconds} s (seed ${seed})`,
    ...[...mishaps]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(
        ([name, count]) =>
          `${String(count).padStart(6)}  ${name}, ${(mishapsMs.get(name)! / count / 1_000).toFixed(1)} s each`,
      ),
    `${underWork} of ${[...mishaps.values()].reduce((sum, count) => sum + count, 0)} came after something had been acknowledged since the one before`,
    `requests: ${requests.acknowledged} acknowledged, ${requests.refused} refused, ${requests.unknown} unknown, of which ${requests.again} settled by sending them again`,
    `held to account ${recoveriesMs.length} times; at rest after ${Math.round(Math.max(0, ...recoveriesMs))} ms at the most (bound ${recoveryMsBound})`,
    violation
      ? `VIOLATION after: ${violation.last}\n${violation.text}\nthe data are in ${violation.folder}`
      : 'every acknowledged request is there exactly once, no refused one is, every unknown one at most once; order kept, ledger balanced; 0 violations',
  ].join('\n')
}
