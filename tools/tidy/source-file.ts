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
