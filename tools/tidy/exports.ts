import { posix } from 'node:path'
import { importsOf, lineAt, type Finding, type SourceFile } from './source-file.ts'

/** Values that are exported and that nobody imports: the word says to a reader that somebody else depends on them. */
export function checkExports(files: readonly SourceFile[]): Finding[] {
  const entries = findEntries(files)
  const imported = findImported(files, entries)
  return files.flatMap(({ path, text }) => {
    const names = imported.get(path)
    if (
      !path.endsWith('.ts') ||
      /\.test(?:-d)?\.ts$/.test(path) ||
      [...entries.values()].includes(path) ||
      names?.has('*')
    )
      return []
    return [...text.matchAll(/^export (?:async )?(?:abstract )?(?:const|let|function\*?|class) (\w+)/gm)]
      .filter(({ 1: name }) => !names?.has(name!) && !isLoaded(path, name!)) // the pattern has one group
      .map(({ 1: name, index }) => ({
        path,
        line: lineAt(text, index),
        message: `exports ${name}, which nobody imports; remove the word, or what it stands before if that is not used here`,
      }))
  })
}

/** What packages offer: by what one imports it, the file. */
function findEntries(files: readonly SourceFile[]): Map<string, string> {
  const entries = new Map<string, string>()
  for (const { path, text } of files) {
    if (posix.basename(path) !== 'package.json') continue
    const { name, exports = {} } = JSON.parse(text) as { name?: string; exports?: Record<string, unknown> }
    for (const [subpath, file] of Object.entries(exports))
      if (typeof file === 'string') entries.set(posix.join(name ?? '', subpath), posix.join(posix.dirname(path), file))
  }
  return entries
}

/** By file, the names that others import from it; `*` where that is all of them. */
function findImported(
  files: readonly SourceFile[],
  entries: ReadonlyMap<string, string>,
): ReadonlyMap<string, ReadonlySet<string>> {
  const imported = new Map<string, Set<string>>()
  const note = (from: string, specifier: string, names: readonly string[]): void => {
    const file = specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : entries.get(specifier)
    if (file === undefined) return
    const known = imported.get(file) ?? new Set()
    imported.set(file, known)
    for (const name of names) known.add(name)
  }
  for (const file of files) {
    const { path, text } = file
    if (!/\.(?:ts|mjs)$/.test(path)) continue
    for (const { specifier, what } of importsOf(file)) note(path, specifier, namesOf(what))
    for (const { 1: specifier } of text.matchAll(/\bimport\('([^']+)'\)/g)) note(path, specifier!, ['*'])
  }
  return imported
}

/** Of `type A, { b as c }`: `default` and `b`. */
function namesOf(what: string): string[] {
  if (what.startsWith('*')) return ['*']
  const listed = /\{([^}]*)\}/.exec(what)?.[1] ?? ''
  const names = listed.split(',').map(
    (one) =>
      one
        .trim()
        .replace(/^type\s+/, '')
        .split(/\s+as\s+/)[0]!,
  ) // a split text has a first part
  return /^(?:type )?\{/.test(what) ? names : ['default', ...names]
}

/** The command line looks for these names in modules that it is given. */
function isLoaded(path: string, name: string): boolean {
  return name === 'gateway' || path.startsWith('examples/')
}
