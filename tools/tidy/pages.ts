import { posix } from 'node:path'
import { lineAt, type Finding, type SourceFile } from './source-file.ts'

/** Pages have one heading of the first rank, and links that lead somewhere; ARCHITECTURE.md names only what is there. */
export function checkPages(files: readonly SourceFile[], exists: (path: string) => boolean): Finding[] {
  return files.filter(({ path }) => path.endsWith('.md')).flatMap((file) => [...checkHeading(file), ...checkLinks(file, exists), ...checkPaths(file, exists)])
}

function checkHeading({ path, text }: SourceFile): Finding[] {
  const count = withoutCode(text).match(/^# /gm)?.length ?? 0
  return count === 1 ? [] : [{ path, message: `has ${count} headings of the first rank; a page has one` }]
}

function checkLinks({ path, text }: SourceFile, exists: (path: string) => boolean): Finding[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap((match) => {
    const target = match[1]!.split('#')[0]!
    if (target === '' || /^[a-z]+:/.test(target)) return []
    return exists(posix.normalize(posix.join(posix.dirname(path), target))) ? [] : [{ path, line: lineAt(text, match.index), message: `links to ${target}, which is not there` }]
  })
}

function checkPaths({ path, text }: SourceFile, exists: (path: string) => boolean): Finding[] {
  if (path !== 'ARCHITECTURE.md') return []
  return [...text.matchAll(/`((?:packages|apps|examples|bench|proof|docs|tools)\/[\w./-]+)`/g)].flatMap((match) =>
    exists(match[1]!) ? [] : [{ path, line: lineAt(text, match.index), message: `speaks of ${match[1]}, which is not there` }],
  )
}

/** Blanks out fenced code, keeping the lines. */
function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```/gm, (block) => block.replaceAll(/[^\n]/g, ' '))
}
