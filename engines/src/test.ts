import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { RunningEngine } from './engine.ts'
import { toNames, toText } from './names.ts'
import { guard } from './run/guard.ts'
import { signal } from './run/processes.ts'
import { startEngine } from './start.ts'
import { engineNames, variableOf } from './url.ts'

// `npm run test:engines`: starts the engines on free ports with empty data, runs the tests that need them, and takes
// all away again.

const usage = `npm run test:engines -- [part of a path …]          the tests on engines whose path contains one of these; all without
npm run test:engines -- --only nats,postgres        starts only these, and runs the tests with their names in the path
npm run test:engines -- conformance --record        writes down what became of each test, for docs/reference/engines.md`

/** From the root of the repository. */
const RECORDED = 'engines/recorded/conformance.json'

const root = fileURLToPath(new URL('../..', import.meta.url))

try {
  process.exitCode = await main()
} catch (error) {
  console.error(toText(error))
  process.exitCode = 2
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { only: { type: 'string' }, record: { type: 'boolean', default: false }, help: { type: 'boolean' } },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const names = values.only === undefined ? engineNames : toNames(values.only.split(','))
  const parts = positionals.length > 0 || values.only === undefined ? positionals : names
  const folder = await mkdtemp(join(tmpdir(), 'atoll-engines-'))
  await chmod(folder, 0o755) // not every engine runs as us
  const startedMs = performance.now()
  const starts = await Promise.allSettled(names.map((name) => startEngine(name, { folder: join(folder, name) })))
  const engines = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
  console.log(
    `${engines.map(({ name }) => name).join(', ') || 'no engine'} ready after ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`,
  )
  for (const [index, start] of starts.entries())
    if (start.status === 'rejected')
      console.log(`✗ ${names[index]} did not start\n${toText(start.reason).replaceAll(/^/gm, '  ')}\n`)
  const counts = await runTests(values.record ? [`--record=${RECORDED}`, ...parts] : parts, engines)
  const failed = counts.failed + names.length - engines.length
  // Nobody needs the data, so nobody waits for an orderly end.
  await Promise.all(engines.map((engine) => engine.kill()))
  await rm(folder, { recursive: true, force: true })
  console.log(`${counts.passed} passed, ${failed} failed${counts.more}`)
  return failed === 0 && counts.isGood ? 0 : 1
}

/** Runs the tests, shows what they say except for their last line, and returns what that counts. */
async function runTests(
  parts: readonly string[],
  engines: readonly RunningEngine[],
): Promise<{ passed: number; failed: number; more: string; isGood: boolean }> {
  const urls = Object.fromEntries(engines.map(({ name, url }) => [variableOf(name), url]))
  const child = spawn(process.execPath, ['tools/test.ts', '--engines', ...parts], {
    cwd: root,
    env: { ...process.env, ...urls },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  await once(child, 'spawn')
  // Each file runs in a process of its own: all of them end with it, and with us.
  const release = guard(child.pid!) // it was spawned
  const interrupt = (name: NodeJS.Signals): void => signal(-child.pid!, name)
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  let counts: RegExpExecArray | null = null
  createInterface(child.stdout).on('line', (line) => {
    const found = /^(\d+) passed, (\d+) failed(.*)$/.exec(line)
    if (found) counts = found
    else console.log(line)
  })
  const [code] = (await once(child, 'close')) as [number | null]
  process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  release()
  const [, passed, failed, more] = counts ?? ['', '0', '1', ''] // without counts it did not come to its end
  return { passed: Number(passed), failed: Number(failed), more: more ?? '', isGood: code === 0 }
}
