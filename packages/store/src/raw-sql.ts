import { sql, type OperationNode, type RawNode } from 'kysely'
import { notExecuted, refuseUncalled } from './not-executed.ts'

// Raw SQL knows no database before it is executed, so nobody can look after it as after what Kysely builds. But to
// await a statement is never meant: it resolves with itself, and does nothing. So whoever does is refused there and
// then.

/**
 * The first word of raw SQL, in capitals, if it begins a statement; what is part of another query begins with something
 * else.
 */
export function verbOf(node: OperationNode): string | undefined {
  const verb = firstWord(node)?.toUpperCase()
  return verb !== undefined && (reads.has(verb) || writes.has(verb)) ? verb : undefined
}

/** Whether raw SQL is a statement that changes something. */
export function isRawWrite(node: OperationNode): boolean {
  const verb = verbOf(node)
  return verb === 'WITH' ? laterWrite.test(textOf(node).replace(quoted, ' ')) : verb !== undefined && writes.has(verb)
}

/**
 * A statement that writes, behind common table expressions or in one. `FOR UPDATE` only locks, and `replace(…)` is a
 * function.
 */
const laterWrite =
  /\b(?:insert\s+(?:or\s+\w+\s+)?into|replace\s+into|merge\s+into|delete\s+from)\b|(?<!\bfor\s+(?:no\s+key\s+)?)\bupdate\b/i
/** What may hold any words: texts, names in quotes, comments. */
const quoted = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--.*|\/\*[^]*?\*\//g

/** The whole of raw SQL, with what is raw in it; other parts are not statements of their own. */
function textOf(node: OperationNode): string {
  if (node.kind !== 'RawNode') return ' '
  const { sqlFragments, parameters } = node as RawNode // by its kind
  return sqlFragments.map((fragment, index) => fragment + (parameters[index] ? textOf(parameters[index]) : '')).join('')
}

const reads: ReadonlySet<string> = new Set(['SELECT', 'WITH', 'EXPLAIN', 'SHOW'])
const writes: ReadonlySet<string> = new Set([
  'INSERT',
  'UPDATE',
  'DELETE',
  'REPLACE',
  'MERGE',
  'TRUNCATE',
  'CREATE',
  'ALTER',
  'DROP',
  'REFRESH',
  'REINDEX',
  'ANALYZE',
  'LOCK',
  'CALL',
  'DO',
  'NOTIFY',
  'COMMENT',
  'GRANT',
  'REVOKE',
  'SET',
  'RESET',
  'PRAGMA',
  'VACUUM',
  'ATTACH',
  'DETACH',
  'LISTEN',
  'UNLISTEN',
  'COPY',
  'DISCARD',
  'CLUSTER',
])

/** Raw SQL may itself begin with raw SQL. */
function firstWord(node: OperationNode): string | undefined {
  if (node.kind !== 'RawNode') return undefined
  const { sqlFragments, parameters } = node as RawNode // by its kind
  const begin = sqlFragments[0] ?? ''
  const word = /^[a-z]+/i.exec(begin.slice(blankChars(begin)))?.[0]
  return word ?? (blankChars(begin) === begin.length && parameters[0] ? firstWord(parameters[0]) : undefined)
}

/** How many characters of spaces, comments and opening brackets it begins with. */
function blankChars(text: string): number {
  for (let at = 0; ;) {
    const end = text.startsWith('--', at)
      ? text.indexOf('\n', at)
      : text.startsWith('/*', at)
        ? text.indexOf('*/', at)
        : undefined
    if (end === -1) return text.length
    if (end !== undefined) at = end + (text[at] === '/' ? 2 : 1)
    else if (at < text.length && (text[at] === '(' || text[at]!.trim() === '')) at++
    else return at
  }
}

/** Statements that are awaited are refused; parts of queries, which async functions may return, are as they were. */
function refuseAwaited(): void {
  const raw = Object.getPrototypeOf(sql``) as object
  refuseUncalled(raw, ['execute'])
  Object.defineProperty(raw, 'then', {
    configurable: true,
    get(this: { toOperationNode(): OperationNode }) {
      const verb = verbOf(this.toOperationNode())
      if (verb === undefined) return undefined
      throw notExecuted(`sql\`${verb}…\``, '.execute(db) at its end')
    },
  })
}

refuseAwaited()
