import { chmodSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { engineNames, type EngineName } from '@atoll/engines'
import { Cluster } from './outages/cluster.ts'
import { conduitApp } from './outages/conduit.ts'
import { record } from './realworld/record.ts'
import { runSuite, type SuiteResult } from './realworld/suite.ts'

// `npm run realworld`: RealWorld's own test suite of its API, on Conduit as separate processes on PostgreSQL and an
// engine for its log.

const usage = `npm run realworld -- [postgres|nats|kafka|rabbitmq|redis …] [--record]     on Conduit as processes, once with each log; all without a name
npm run realworld -- --api http://localhost:4000/api                          on an API that is there already`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { api: { type: 'string' }, record: { type: 'boolean' }, help: { type: 'boolean' } },
})
const names =
  positionals.length === 0
    ? [...engineNames]
    : positionals.filter((name): name is EngineName => (engineNames as readonly string[]).includes(name))
if (values.help || names.length < positionals.length) {
  console.log(usage)
  process.exit(values.help ? 0 : 2)
}
const results: boolean[] = []
if (values.api !== undefined) results.push(tell(values.api, await runSuite(values.api, newcomer())))
else {
  for (const log of names) {
    const result = await onCluster(log)
    results.push(tell(`Conduit as processes on PostgreSQL, log on ${log}`, result))
    if (values.record) record(log, result)
  }
}
process.exit(results.every(Boolean) ? 0 : 1)

/** Twice on one cluster: the second time, the data of the first are there. */
async function onCluster(log: EngineName): Promise<SuiteResult> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-realworld-'))
  chmodSync(folder, 0o755) // not every engine runs as us
  const cluster = new Cluster(conduitApp, log, folder)
  try {
    await cluster.start()
    const api = `${cluster.gatewayUrl}/api`
    const rounds = [await runSuite(api, newcomer()), await runSuite(api, newcomer())]
    return {
      requests: rounds.reduce((sum, { requests }) => sum + requests, 0),
      assertions: rounds.reduce((sum, { assertions }) => sum + assertions, 0),
      failures: rounds.flatMap(({ failures }) => failures),
    }
  } finally {
    await cluster.stop(false)
  }
}

function tell(where: string, { requests, assertions, failures }: SuiteResult): boolean {
  console.log(
    [
      `${where}: ${requests} requests, ${assertions} assertions, ${failures.length} failed`,
      ...failures.map((failure) => `  ✗ ${failure}`),
    ].join('\n'),
  )
  return failures.length === 0
}

/** Somebody who is not registered. */
function newcomer(): string {
  return `u${crypto.randomUUID().slice(0, 8)}`
}
