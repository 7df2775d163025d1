import { globSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import type { Manifest } from './manifest.ts'

/**
 * Throws if a built file imports a package that its package.json does not name. In the workspace, and wherever all
 * dependencies lie in one folder, nobody would notice.
 */
export function assertImportsAreNamed(folder: string, { name, dependencies, peerDependencies }: Manifest): void {
  const named = new Set([name, ...Object.keys({ ...dependencies, ...peerDependencies })])
  const missing = globSync('**/*.js', { cwd: folder }).flatMap((path) =>
    importsOf(readFileSync(`${folder}/${path}`, 'utf8'))
      .filter((imported) => !named.has(imported))
      .map((imported) => `${path} imports ${imported}`),
  )
  if (missing.length > 0)
    throw new Error(`${name}: its package.json does not name all that it imports:\n${missing.join('\n')}`)
}

/** The packages that a module imports, without its own files and Node's modules. */
export function importsOf(code: string): string[] {
  return [...code.matchAll(/(?:^(?:import|export)\b(?:[^'"=;]*\bfrom)?\s*|\bimport\()['"]([^'"]+)['"]/gm)]
    .map((match) => match[1]!)
    .filter((specifier) => !specifier.startsWith('.') && !isBuiltin(specifier))
    .map((specifier) => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/'))
}
