import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { compile, packages, root } from '../pack/build.ts'
import type { Manifest } from '../pack/manifest.ts'
import { findExports, type Files } from './declarations.ts'

/** A page for each package: what its public entries export, from the declarations that the compiler emits. */
export function apiPages(): Record<string, () => string> {
  let files: Files | undefined
  return Object.fromEntries(
    packages().map((name) => [`packages/${name}/api.md`, () => apiPage(name, (files ??= emit()))]),
  )
}

function apiPage(folder: string, files: Files): string {
  // our own
  const { name, exports } = JSON.parse(readFileSync(`${root}packages/${folder}/package.json`, 'utf8')) as Manifest
  const lines = [
    `# What ${name} exports`,
    '',
    'One section for each public entry. This page is generated from the declarations; a change of it is a change for users.',
    '',
  ]
  for (const [entry, path] of Object.entries(exports)) {
    if (typeof path !== 'string') throw new Error(`${name}: an export is one path below ./src`)
    const exported = findExports(posix.join(folder, path.replace(/\.ts$/, '.d.ts')), files)
    lines.push(`## \`${posix.join(name, entry)}\``, '')
    const own = exported.filter(({ from }) => from === undefined)
    if (own.length > 0) lines.push('```typescript', own.map(({ text }) => text).join('\n\n'), '```', '')
    for (const from of new Set(exported.map((one) => one.from).filter((from) => from !== undefined))) {
      const names = exported.filter((one) => one.from === from).map((one) => `\`${one.name}\``)
      lines.push(`From \`${from}\`: ${names.join(', ')}.`, '')
    }
  }
  return lines.join('\n')
}

/** The emitted declarations of all packages by path, such as `atoll/src/index.d.ts`. */
function emit(): Files {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-api-'))
  try {
    compile(folder)
    return new Map(
      globSync('**/*.d.ts', { cwd: folder }).map((path) => [
        path.replaceAll('\\', '/'),
        readFileSync(join(folder, path), 'utf8'),
      ]),
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
