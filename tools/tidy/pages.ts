import { posix } from 'node:path'
import { lineAt, type Finding, type SourceFile } from './source-file.ts'

/**
 * Pages have one heading of the first rank, and links that lead somewhere; those that describe the code name only what
 * is there.
 */
export function checkPages(files: readonly SourceFile[], exists: (path: string) => boolean): Finding[] {
  const pages = files.filter(({ path }) => path.endsWith('.md'))
  return pages.flatMap((page) => [
    ...checkHeading(page),
    ...checkLinks(page, exists),
    ...checkPaths(page, exists),
    ...checkNames(page, files),
  ])
}

function checkHeading({ path, text }: SourceFile): Finding[] {
  const count = withoutCode(text).match(/^# /gm)?.length ?? 0
  return count === 1 ? [] : [{ path, message: `has ${count} headings of the first rank; a page has one` }]
}

function checkLinks({ path, text }: SourceFile, exists: (path: string) => boolean): Finding[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap((match) => {
    const target = match[1]!.split('#')[0]!
    if (target === '' || /^[a-z]+:/.test(target)) return []
    return exists(posix.normalize(posix.join(posix.dirname(path), target)))
      ? []
      : [{ path, line: lineAt(text, match.index), message: `links to ${target}, which is not there` }]
  })
}

function checkPaths({ path, text }: SourceFile, exists: (path: string) => boolean): Finding[] {
  if (!describesCode(path)) return []
  return [...text.matchAll(/`((?:packages|apps|examples|bench|proof|docs|tools)\/[\w./-]+)`/g)].flatMap((match) =>
    exists(match[1]!)
      ? []
      : [{ path, line: lineAt(text, match.index), message: `speaks of ${match[1]}, which is not there` }],
  )
}

/** Code that stands right behind the path of a file is in that file: a name is declared there. */
function checkNames({ path, text }: SourceFile, files: readonly SourceFile[]): Finding[] {
  if (!describesCode(path)) return []
  return [...text.matchAll(/`([\w./-]+\.ts)`((?: `[^`\n]+`)+)/g)].flatMap(({ 1: named, 2: names, index }) => {
    const code = files.find((file) => file.path === named)?.text ?? ''
    const missing = [...names!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!).filter((name) => !has(code, name))
    return missing.map((name) => ({
      path,
      line: lineAt(text, index),
      message: `looks for ${name} in ${named}, where it is not`,
    }))
  })
}

/**
 * Whether code declares a name: as a function, class, type or variable, or as a member. Of what is no name alone,
 * whether it stands there.
 */
function has(code: string, name: string): boolean {
  if (!/^#?\w+$/.test(name)) return code.includes(name)
  const declared = new RegExp(
    [
      String.raw`^\s*(?:export |default |declare |abstract |async )*(?:function\*?|class|interface|type|enum|const|let) ${name}\b`,
      String.raw`^\s*(?:(?:public|protected|private|static|readonly|override|async|get|set) |\*)*${name}(?:<[^\n]*>)?\((?:[^\n]*\)(?:: [^\n]+)? \{$|\n(?:\s+[^\n]*,\n)*\s*\)(?:: [^\n]+)? \{$)`,
      String.raw`^\s*(?:(?:public|protected|private|static|readonly|override) )*${name}\??(?:: [^\n]+)? = `,
    ].join('|'),
    'm',
  )
  return declared.test(code)
}

/** Pages for those who read the code. */
function describesCode(path: string): boolean {
  return path === 'ARCHITECTURE.md' || path === 'docs/internals/one-event.md'
}

/** Blanks out fenced code, keeping the lines. */
function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```/gm, (block) => block.replaceAll(/[^\n]/g, ' '))
}
