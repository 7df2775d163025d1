import type { Token } from '../../own-tables.ts'

/**
 * A text of SQL as SQLite takes it: in upper case, one space between words, no comments, texts left empty, and each
 * name in double quotes if it is quoted at all, without its spaces. So that words can be looked for, and nobody hides
 * one behind a comment.
 */
export function meaningOf(sql: string): string {
  return sql
    .replace(pattern, (all, name: string | undefined) =>
      name !== undefined ? `"${name.slice(1, -1).replace(/\W/g, '_')}"` : all.startsWith("'") ? `''` : ' ',
    )
    .trim()
    .toUpperCase()
}

/** Texts; quoted names; comments and spaces. */
const pattern = /'(?:[^']|'')*'|("(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])|(?:\s|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))+/g

/** A setting takes effect when it is prepared. */
export function isSetting(meaning: string): boolean {
  return /^[; ]*(EXPLAIN (QUERY PLAN )?)?PRAGMA\b/.test(meaning)
}

/** Whether a row that does not fit would undo the whole transaction, and with it the works of others. */
export function undoesAll(meaning: string): boolean {
  return /\b(OR|ON CONFLICT) ROLLBACK\b|\bRAISE ?\( ?ROLLBACK\b/.test(meaning)
}

/** Whether a table has constraints that only a commit checks. */
export function defersConstraints(meaning: string): boolean {
  return /\bINITIALLY DEFERRED\b/.test(meaning)
}

/** The words, names, texts and marks of SQL, as SQLite reads it. */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = []
  for (const [text, space, string, quoted, word] of sql.matchAll(tokenPattern)) {
    if (space === undefined)
      tokens.push({
        text,
        kind: string !== undefined ? 'string' : quoted !== undefined ? 'quoted' : word !== undefined ? 'word' : 'mark',
      })
  }
  return tokens
}

const tokenPattern =
  /(\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*')|("(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|[\s\S]/g
