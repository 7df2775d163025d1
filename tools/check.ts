import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

// Whether a change may be handed in, one line per step. `--no-tests` leaves the tests out. CI also runs the suites on
// engines, kills, and what a user starts first.

const root = fileURLToPath(new URL('..', import.meta.url))
const steps: readonly { name: string; command: readonly string[]; remedy: string }[] = [
  { name: 'types', command: ['node_modules/.bin/tsc', '--noEmit'], remedy: 'mend what the compiler says' },
  { name: 'format', command: ['node_modules/.bin/oxfmt', '--check'], remedy: 'npm run fix' },
  {
    name: 'lint',
    command: ['node_modules/.bin/oxlint', '--type-aware', '--format', 'unix'],
    remedy: 'mend each, or say beside it why it is meant: // oxlint-disable-next-line <rule> -- <reason>',
  },
  { name: 'tidy', command: [process.execPath, 'tools/tidy/main.ts'], remedy: 'each line above says what to do' },
  { name: 'generated pages', command: [process.execPath, 'tools/generate.ts', '--check'], remedy: 'npm run fix' },
  {
    name: 'snippets',
    command: [process.execPath, 'tools/snippets.ts'],
    remedy: 'mend the snippet, or what it speaks of',
  },
  {
    name: 'patches',
    command: [process.execPath, 'tools/test.ts', 'proof/src/patches.test.ts'],
    remedy: 'bring the patch up to date: it plants a bug, or a kill, in code that has moved on',
  },
  { name: 'tests', command: [process.execPath, 'tools/test.ts'], remedy: 'mend the code, or the promise' },
]

for (const { name, command, remedy } of steps) {
  if (name === 'tests' && process.argv.includes('--no-tests')) continue
  const startedMs = performance.now()
  const [program, ...args] = command as [string, ...string[]]
  const { status } = spawnSync(program, args, { cwd: root, stdio: 'inherit' })
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
  console.log(`${status === 0 ? '✓' : '✗'} ${name} (${seconds} s)`)
  if (status === 0) continue
  console.log(`  to mend it: ${remedy}`)
  process.exit(1)
}
