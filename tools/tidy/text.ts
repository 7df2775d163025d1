import { isTest, lineAt, type Finding, type SourceFile } from './source-file.ts'

interface Ban {
  readonly pattern: RegExp
  readonly message: string
  /** Where it is allowed. */
  readonly except?: RegExp
}

const bans: readonly Ban[] = [
  { pattern: /\b(?:it|test|describe|suite)\.only\(/g, message: 'a focused test hides the others; remove .only' },
  { pattern: /\b(?:FIXME|TODO|XXX)\b/g, message: 'finish it, or open an issue and remove the mark' },
  {
    pattern: /\bas any\b|@ts-(?:ignore|nocheck)/g,
    message: 'say what the type is; a cast needs a type and a reason beside it',
  },
  {
    pattern: /\bconsole\.\w+\(/g,
    message: 'use the logger',
    except: /^(?:packages\/cli|tools|examples|bench|proof|engines)\/|\/test\/|\.test\.ts$/,
  },
  {
    pattern: /await (?:sleep|delay)\(|new Promise\(\(?r(?:es|esolve)?\)? => setTimeout/g,
    message: 'wait for what happens, not for time to pass',
  },
  { pattern: /(?<![\w.])\/(?:work|home|Users|root)\/[a-z]/g, message: 'a path of one machine has no place here' },
]

/** Longer files must begin by saying why they are one. */
const LINES_MAX = 480

/** The formatter keeps code to it; comments are kept by hand. */
const WIDTH_MAX = 120

/** What git leaves in a file that two have changed, of whatever kind it is. */
export function checkConflicts(files: readonly SourceFile[]): Finding[] {
  return files.flatMap(({ path, text }) => {
    const marker = /^(?:<{7}|\|{7}|>{7})(?: |$)/m.exec(text)
    return marker
      ? [
          {
            path,
            line: lineAt(text, marker.index),
            message: `${marker[0].trim()}: a conflict is not resolved; keep what both sides meant, and remove the marks`,
          },
        ]
      : []
  })
}

/** Words and constructions that have no place in the repository. */
export function checkText(files: readonly SourceFile[]): Finding[] {
  return files.flatMap(({ path, text }) => {
    if (path.startsWith('tools/tidy/')) return []
    const findings: Finding[] = []
    for (const { pattern, message, except } of path.endsWith('.md') ? bans.slice(-1) : bans) {
      if (except?.test(path)) continue
      for (const match of text.matchAll(pattern))
        findings.push({ path, line: lineAt(text, match.index), message: `${match[0]}: ${message}` })
    }
    const lines = text.split('\n')
    if (/\.(?:ts|mjs)$/.test(path)) {
      for (const [index, line] of lines.entries())
        if (isComment.test(line) && line.length > WIDTH_MAX)
          findings.push({
            path,
            line: index + 1,
            message: `a comment of ${line.length} columns; break it at ${WIDTH_MAX}`,
          })
    }
    if (path.endsWith('.ts') && !isTest(path) && lines.length > LINES_MAX && !text.startsWith('//')) {
      findings.push({
        path,
        message: `${lines.length} lines; cut it up, or begin it with a comment that says why it is one file`,
      })
    }
    return findings
  })
}

/** A line that is a comment and no address, which cannot be broken. */
const isComment = /^\s*(?:\/\/|\/?\*).*\s\S+\s/
