import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { checkExports } from './exports.ts'
import { checkImports } from './imports.ts'
import { checkPages } from './pages.ts'
import { checkConflicts, checkText } from './text.ts'
import type { Finding, SourceFile } from './source-file.ts'

// Reads the repository and says what is not as it should be, and what to do about it.

const root = fileURLToPath(new URL('../..', import.meta.url))
const paths = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\0')
  .filter((path) => path !== '' && statSync(root + path, { throwIfNoEntry: false })?.isFile())
const all: SourceFile[] = paths
  .map((path) => ({ path, text: readFileSync(root + path, 'utf8') }))
  .filter(({ text }) => !text.includes('\0')) // pictures are no text
const files = all.filter(({ path }) => /\.(ts|mjs|md|json)$/.test(path) && path !== 'package-lock.json')

const findings: Finding[] = [
  ...checkConflicts(all),
  ...checkExports(files),
  ...checkImports(files),
  ...checkText(files),
  ...checkPages(files, (path) => existsSync(root + path)),
]
for (const { path, line, message } of findings)
  console.log(`${path}${line === undefined ? '' : `:${line}`}: ${message}`)
process.exitCode = findings.length === 0 ? 0 : 1
