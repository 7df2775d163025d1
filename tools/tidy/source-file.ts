export interface SourceFile {
  /** From the root of the repository. */
  readonly path: string
  readonly text: string
}

export interface Finding {
  readonly path: string
  readonly line?: number
  /** What is wrong, and what to do instead. */
  readonly message: string
}

/** The number of the line at an index of a text, from 1. */
export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}

export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.endsWith('.test-d.ts') || path.includes('/test/')
}

/** What a module takes from another one by name, at its beginning. */
export interface Import {
  readonly specifier: string
  /** As it stands there: `type A, { b as c }`, `* as d`; nothing where only the module's effect is wanted. */
  readonly what: string
  /** It is offered on to others. */
  readonly offers: boolean
  readonly line: number
}

export function importsOf({ text }: SourceFile): Import[] {
  return [...text.matchAll(/^(import|export)\b(?:([\w*${},\s]*?)\sfrom)?\s*'([^']+)'/gm)].map((match) => ({
    specifier: match[3]!,
    what: (match[2] ?? '').trim(),
    offers: match[1] === 'export',
    line: lineAt(text, match.index),
  }))
}
