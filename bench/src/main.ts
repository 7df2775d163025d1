import { parseArgs } from 'node:util'
import { measureDurablePath, measureLatency } from './durable-path.ts'
import { measureGateway } from './gateway.ts'
import { measureRebuild } from './rebuild.ts'
import { createReport, formatReport, type Result } from './result.ts'
import { measureStartUp } from './start-up.ts'

const workloads: Record<string, () => Promise<Result[]>> = {
  durable: measureDurablePath,
  latency: measureLatency,
  gateway: measureGateway,
  rebuild: measureRebuild,
  start: measureStartUp,
}

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean' }, help: { type: 'boolean' } },
  allowPositionals: true,
})
const unknown = positionals.filter((name) => !(name in workloads))
if (values.help || unknown.length > 0) {
  console.error(`npm run bench -- [${Object.keys(workloads).join(' | ')} …] [--json]`)
  process.exit(unknown.length > 0 ? 2 : 0)
}

const results: Result[] = []
for (const [name, measure] of Object.entries(workloads)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  if (!values.json) console.error(`measuring ${name} …`)
  results.push(...(await measure()))
}
const report = createReport(results)
console.log(values.json ? JSON.stringify(report) : formatReport(report))
