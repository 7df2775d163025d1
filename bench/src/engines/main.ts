import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { comparePeer, peers, type Comparison } from '../peers/peers.ts'
import { formatPeers } from '../peers/table.ts'
import { createReport, formatReport, type Result } from '../result.ts'
import { measureAppends } from './appends.ts'
import { logEngines, type LogEngine } from './logs.ts'
import { withEngine } from './with-engine.ts'

// `npm run bench:engines`: the logs beside the raw clients of their engines, and Atoll beside what a user might pick
// instead.

const parts = ['raw', 'peers'] as const
const usage = `npm run bench:engines -- [${[...parts, ...logEngines].join(' | ')} …] [--json] [--record]`
const folder = join(import.meta.dirname, '../..')

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean' }, record: { type: 'boolean' }, help: { type: 'boolean' } },
  allowPositionals: true,
})
const unknown = positionals.filter((name) => ![...parts, ...logEngines].some((known) => known === name))
if (values.help || unknown.length > 0) {
  console.error(usage)
  process.exit(unknown.length > 0 ? 2 : 0)
}
const wanted = <T extends string>(names: readonly T[]): readonly T[] =>
  names.some((name) => positionals.includes(name)) ? names.filter((name) => positionals.includes(name)) : names
const wantedParts = wanted(parts)
if (wantedParts.includes('peers')) installPeers()

// So that what ends with this process does: engines, and programs that are halted.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

const results: Result[] = []
const comparisons: Comparison[] = []
await withEngine('postgres', async (postgres) => {
  for (const engine of wanted(logEngines)) {
    if (engine === 'postgres') await measure(engine, postgres, postgres)
    else await withEngine(engine, (url) => measure(engine, url, postgres))
  }
})
const report = { ...createReport(results), peers: comparisons }
if (values.record) {
  await mkdir(join(folder, 'recorded'), { recursive: true })
  await writeFile(join(folder, 'recorded/engines.json'), `${JSON.stringify(report, undefined, 2)}\n`)
}
if (values.json) console.log(JSON.stringify(report))
else console.log([formatReport(report), ...(comparisons.length > 0 ? [formatPeers(comparisons)] : [])].join('\n\n'))

async function measure(engine: LogEngine, url: string, postgres: string): Promise<void> {
  if (wantedParts.includes('raw')) {
    tell(`measuring the log on ${engine} …`)
    results.push(...(await measureAppends(engine, url)))
  }
  if (!wantedParts.includes('peers')) return
  for (const peer of peers.filter((one) => one.engine === engine)) {
    tell(`measuring ${peer.name} on ${engine} …`)
    comparisons.push(await comparePeer(peer, url, postgres))
  }
}

function tell(what: string): void {
  if (!values.json) console.error(what)
}

/** Nobody else needs them, so nothing else installs them. */
function installPeers(): void {
  const peersFolder = join(folder, 'peers')
  if (existsSync(join(peersFolder, 'node_modules'))) return
  tell('installing the peers …')
  execFileSync('npm', ['ci', '--prefix', peersFolder, '--no-audit', '--no-fund', '--loglevel=error'], {
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
}
