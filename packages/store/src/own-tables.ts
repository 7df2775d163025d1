import { AtollError } from '@atoll/host'

// The runtime keeps its tables (`atoll_…`) in every store, beside the service's own: what a service wrote there would
// lose events, or handle them twice. Reading them changes nothing, and is nobody's fault. So each SQL text of a service
// is looked at once, when it is prepared.

/**
 * A piece of SQL that means something. A driver reads the texts of its engine; here is only what they have in common.
 */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'mark' | 'parameter'
  /** As it stands in the text, with its quotes. */
  readonly text: string
}

/**
 * Refuses, with UNSUPPORTED, SQL of a service that writes, makes, changes or drops what is the runtime's. `tokenize`
 * reads SQL as the engine does.
 */
export function assertOwnUntouched(sql: string, tokenize: (sql: string) => readonly Token[]): void {
  if (!mayNameOwn.test(sql)) return
  const tokens = tokenize(sql)
  assertNotAll(tokens)
  const name = findWritten(tokens)
  if (name !== undefined) throw notTheirs(name)
}

/**
 * Most texts name nothing of the runtime's, and need no closer look. PostgreSQL reads names in `U&"…"` with any
 * character written as its number.
 */
const mayNameOwn = /atoll_|sqlite_sequence|\bu&"|\bowned\b|\bschema\b/i

/**
 * Some statements of PostgreSQL name no table, and mean all that a role or a schema has. They may stand in the body of
 * a function, behind THEN, say.
 */
function assertNotAll(tokens: readonly Token[]): void {
  for (const words of statementsOf(tokens).map((statement) => statement.map(wordOf))) {
    const at = words.findIndex((_, index) => isAboutAll(words, index))
    if (at >= 0) throw notTheirs(`what ${words[at]} ${words[at + 1]} is about`)
  }
}

function isAboutAll(words: readonly string[], index: number): boolean {
  const [verb, things, by] = words.slice(index, index + 3)
  if (things === 'OWNED') return by === 'BY' && (verb === 'DROP' || verb === 'REASSIGN')
  // ALTER TABLE … DROP schema is about a column.
  return things === 'SCHEMA' && (verb === 'DROP' || verb === 'ALTER') && !words.slice(0, index).includes('ALTER')
}

/**
 * What of the runtime's own some statements would write, make, change or drop, as they name it; undefined if nothing.
 */
function findWritten(tokens: readonly Token[]): string | undefined {
  for (const statement of statementsOf(tokens)) {
    const words = statement.map(wordOf)
    const found =
      statement.find((token, index) => isOwn(token) && isWritten(words, index)) ?? findNumbers(statement, words)
    if (found) return found.text
  }
  return undefined
}

/**
 * What the numbers of the runtime's own rows come from, which must never come twice: on SQLite a table that has those
 * of all, of which a service may change its own by name; on PostgreSQL a sequence that is named in a text.
 */
function findNumbers(statement: readonly Token[], words: readonly string[]): Token | undefined {
  const numbers = statement.find(
    ({ text }, index) => /^["'`[]?sqlite_sequence\b/i.test(text) && isWritten(words, index),
  )
  const texts = statement.filter((token) => token.kind === 'string' && token !== numbers)
  const ofRuntime = texts.find(({ text }) => /atoll_/i.test(text))
  if (words.includes('SETVAL')) return ofRuntime
  return texts.length === 0 ? numbers : numbers && ofRuntime
}

function notTheirs(name: string): AtollError {
  return new AtollError(
    'UNSUPPORTED',
    `${name} is the runtime's own, or has what is: services may read what begins with atoll_, and not write it. Events that wait are looked after with 'atoll dead-letters'; a table of a service needs another name`,
  )
}

/** Whether a migration is the runtime's, by its name. */
export function isOfRuntime(migration: string): boolean {
  return migration.startsWith('atoll-')
}

function statementsOf(tokens: readonly Token[]): Token[][] {
  const statements: Token[][] = [[]]
  for (const token of tokens) {
    if (token.text === ';') statements.push([])
    else statements.at(-1)!.push(token)
  }
  return statements
}

/** What may be written for a word of SQL; of a name in quotes, and of a text, nothing that could be taken for one. */
function wordOf({ kind, text }: Token): string {
  return kind === 'word' ? text.toUpperCase() : kind === 'quoted' || kind === 'string' ? '""' : text
}

/**
 * SQLite takes a text for a name where only a name can stand. A name that is written in numbers of characters may be
 * any.
 */
function isOwn({ kind, text }: Token): boolean {
  if (kind === 'word') return /^atoll_/i.test(text)
  return (
    (kind === 'quoted' || kind === 'string') &&
    (/^["'`[]atoll_/i.test(text) || (/^u&"/i.test(text) && text.includes('\\')))
  )
}

/** Whether the name at `index` is that of something to be written, by the words before it. */
function isWritten(words: readonly string[], index: number): boolean {
  let at = index - 1
  while (words[at] === '.') at -= 2 // the schema
  if (words[at] === '(' && words[at - 1] === 'ONLY') at-- // PostgreSQL takes ONLY (name) as well
  while (passed.has(words[at] ?? '')) at--
  const [before, earlier, first] = [words[at] ?? '', words[at - 1], words[0] ?? '']
  if (targets.has(before)) return true
  if (before === 'OF') return earlier === 'PARTITION' && first === 'CREATE'
  if (before === 'FROM') return earlier === 'DELETE'
  if (before === 'TO') return earlier !== undefined && renamed.has(earlier)
  if (earlier === 'OR') return words[at - 2] === 'UPDATE' // OR REPLACE, OR IGNORE, …
  if (before === ',') return first === 'DROP' || first === 'TRUNCATE'
  if (before === 'ON') return words.slice(0, 5).some((word) => attached.has(word)) && words.indexOf('ON') === at
  return definitions.has(first) && things.has(before)
}

/** What stands between a word and the name that it is about. */
const passed = wordSet('ONLY IF NOT EXISTS CONCURRENTLY')
const targets = wordSet('INTO UPDATE REFERENCES INHERIT TRUNCATE COPY PARTITION')
/** RENAME TO a name; and ON INSERT TO a table, of rules. */
const renamed = wordSet('RENAME INSERT UPDATE DELETE SELECT')
const definitions = wordSet('CREATE ALTER DROP TRUNCATE COMMENT')
const things = wordSet('TABLE INDEX VIEW TRIGGER SEQUENCE TYPE DOMAIN FUNCTION PROCEDURE RULE POLICY STATISTICS')
/** What is made ON a table. */
const attached = wordSet('INDEX TRIGGER RULE POLICY')

function wordSet(words: string): ReadonlySet<string> {
  return new Set(words.split(' '))
}
