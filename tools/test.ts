import { globSync, writeFileSync } from 'node:fs'
import { resolve, sep } from 'node:path'
import { run } from 'node:test'
import report from './reporter.ts'

// Runs every test that needs no other server; with --engines, those that do, one file at a time. `--record=<file>`
// writes down there what became of each. Other arguments narrow it down to files whose path contains one of them.

/**
 * Only there to end what hangs: whether a test passes must not depend on how fast the machine is, or what else it does.
 */
const TIMEOUT_MS = 30 * 60_000

const onEngines = process.argv.includes('--engines')
const recordFile = process.argv.find((argument) => argument.startsWith('--record='))?.slice('--record='.length)
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const files = globSync('{packages,apps,examples,tools,bench,proof,engines}/**/*.test.ts', {
  exclude: (path) => path.split(sep).includes('node_modules'),
})
  .filter((file) => file.endsWith('.engine.test.ts') === onEngines)
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort()
  .map((file) => resolve(file))

if (files.length === 0) {
  console.log(`no test file matches ${wanted.join(', ')}\n0 passed, 0 failed`)
  process.exit(1)
}
const stream = run({ files, concurrency: !onEngines, timeout: TIMEOUT_MS })
/** Path of each test → whether it passed. */
const outcomes: Record<string, boolean> = {}
let failed = false
let ran = false
stream.on('test:fail', () => (failed = true))
stream.on('test:pass', () => (ran = true))
for await (const text of report(stream as AsyncIterable<never>, (path, passed) => (outcomes[path] = passed)))
  process.stdout.write(text)
process.exitCode = failed || !ran ? 1 : 0
if (recordFile !== undefined) writeFileSync(recordFile, `${JSON.stringify(outcomes, null, 2)}\n`)
