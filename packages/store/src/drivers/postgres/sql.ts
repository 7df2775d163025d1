import { AtollError } from '@atoll/host'
import type { Token as MeaningToken } from '../../own-tables.ts'

// What the SQL of services means in PostgreSQL. Services write for no engine in particular; these are the words in
// which both differ.

/**
 * `?` for each parameter becomes `$1`, `$2`, …. What has numbered parameters already, as Kysely writes them, stays as
 * it is.
 */
export function numberParameters(sql: string): string {
  const tokens = tokenize(sql)
  if (tokens.some((token) => token.kind === 'parameter' && token.text !== '?')) return sql
  let count = 0
  return tokens.map((token) => (token.kind === 'parameter' ? `$${++count}` : token.text)).join('')
}

/**
 * A migration as PostgreSQL reads it: column types and table options that are SQLite's become what they mean, so that a
 * column keeps what it kept and sorts as it sorted. Everything else stays as it is. Throws UNSUPPORTED for what has no
 * counterpart.
 */
export function translateMigration(sql: string): string {
  return migrationStatements(sql).join('')
}

/** The same, statement by statement, for they can only be sent so. */
export function migrationStatements(sql: string): string[] {
  return statementsOf(tokenize(sql))
    .filter((tokens) => tokens.some(isMeaning))
    .map(translateStatement)
}

/**
 * The words, names and marks of a statement, in upper case: without texts, and without what is only said in passing.
 */
export function meaningOf(sql: string): string[] {
  return tokenize(sql)
    .filter((token) => token.kind === 'word' || token.kind === 'quoted' || token.kind === 'mark')
    .map((token) => token.text.replaceAll('"', '').toUpperCase())
}

interface Token {
  readonly kind: MeaningToken['kind'] | 'space'
  readonly text: string
}

/** The words, names, texts and marks of SQL. Where it makes a function, also those of the function, which is a text. */
export function meaningTokens(sql: string): MeaningToken[] {
  const tokens = tokenize(sql).filter(isMeaning)
  const hasBody = tokens.slice(0, 4).some((token) => /^(FUNCTION|PROCEDURE|DO)$/.test(upper(token)))
  return hasBody
    ? tokens.flatMap((token) =>
        token.kind === 'string' ? [END, ...tokenize(bodyOf(token.text)).filter(isMeaning)] : [token],
      )
    : tokens
}

const END: MeaningToken = { kind: 'mark', text: ';' }

function bodyOf(text: string): string {
  return text.replace(/^(\$\w*\$|e?')|(\$\w*\$|')$/gi, '')
}

/**
 * A token of each kind; the first that fits. Groups are looked at by their numbers: to look through their names costs
 * more than all the rest.
 */
const pattern = new RegExp(
  [
    /(\s+|--[^\n\r]*|\/\*)/,
    /([eE]'(?:[^'\\]|''|\\[\s\S])*'|'(?:[^']|'')*'|\$(?<tag>(?:[A-Za-z_]\w*)?)\$[\s\S]*?\$\k<tag>\$)/,
    /((?:[uU]&)?"(?:[^"]|"")*")/,
    /(\?|\$\d+)/,
    /([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)/,
    /[\s\S]/,
  ]
    .map((part) => part.source)
    .join('|'),
  'g',
)

function tokenize(sql: string): Token[] {
  const tokens: Token[] = []
  pattern.lastIndex = 0
  for (let found = pattern.exec(sql); found; found = pattern.exec(sql)) {
    const [start, space, string, , quoted, parameter, word] = found
    if (start === '/*') pattern.lastIndex = commentEnd(sql, found.index)
    tokens.push({
      text: sql.slice(found.index, pattern.lastIndex),
      kind: word ? 'word' : space ? 'space' : parameter ? 'parameter' : quoted ? 'quoted' : string ? 'string' : 'mark',
    })
  }
  return tokens
}

/** Comments may lie within each other, which no pattern can say. */
function commentEnd(sql: string, start: number): number {
  let depth = 0
  for (const { 0: mark, index } of sql.slice(start).matchAll(/\/\*|\*\//g)) {
    depth += mark === '/*' ? 1 : -1
    if (depth === 0) return start + index + 2
  }
  return sql.length // PostgreSQL will say what it thinks of it
}

/** Each with the semicolon that ends it. */
function statementsOf(tokens: readonly Token[]): Token[][] {
  const statements: Token[][] = [[]]
  for (const token of tokens) {
    statements.at(-1)!.push(token)
    if (token.text === ';') statements.push([])
  }
  return statements
}

function translateStatement(tokens: Token[]): string {
  const [first, second, third] = tokens.filter(isMeaning).map(upper)
  if (first === 'PRAGMA') throw unsupported('PRAGMA', 'leave it out: stores set what they need themselves')
  if (first === 'CREATE' && (second === 'TABLE' || third === 'TABLE')) return translateTable(tokens)
  if (first === 'ALTER' && second === 'TABLE') return translateAlter(tokens)
  return write(tokens)
}

/** The list of columns, and what comes behind it. */
function translateTable(tokens: Token[]): string {
  const open = tokens.findIndex((token) => token.text === '(')
  if (open < 0) return write(tokens) // CREATE TABLE … AS SELECT
  const close = closingOf(tokens, open)
  const items = itemsOf(tokens.slice(open + 1, close))
  const options = tokens.slice(close + 1)
  const numbered = wordsOf(options).includes('ROWID') ? undefined : findNumbered(items)
  const columns = items.map((item) => translateColumn(item, item === numbered)).join(',')
  return `${write(tokens.slice(0, open + 1))}${columns})${withoutOptions(options)}`
}

/**
 * The column that SQLite fills in by itself: its type is INTEGER, in this very word, and it alone is the primary key,
 * whether that is said with the column or after all of them. PostgreSQL's own words for where numbers come from are
 * left to PostgreSQL.
 */
function findNumbered(items: readonly Token[][]): Token[] | undefined {
  const key = items.flatMap((item) => keyOf(item) ?? [])
  return items.find((item) => {
    const column = toColumn(item)
    if (!column || upper(column.type) !== 'INTEGER') return false
    const words = wordsOf(outerOf(column.rest))
    if (words.includes('GENERATED') || wordsOf(column.rest).includes('NEXTVAL')) return false
    return words.includes('PRIMARY') || (key.length === 1 && key[0] === nameOf(column.name))
  })
}

/** The columns that a constraint of the table makes its primary key. */
function keyOf(item: Token[]): string[] | undefined {
  const first = item[nextMeaning(item, 0)]
  const open = item.findIndex((token) => token.text === '(')
  if (!first || open < 0 || !constraints.has(upper(first)) || !wordsOf(outerOf(item)).includes('PRIMARY'))
    return undefined
  return itemsOf(item.slice(open + 1, closingOf(item, open))).map((column) => nameOf(column.find(isMeaning)))
}

/** `ALTER TABLE x ADD [COLUMN] name type …`. */
function translateAlter(tokens: Token[]): string {
  const add = tokens.findIndex((token) => upper(token) === 'ADD')
  if (add < 0) return write(tokens)
  const next = nextMeaning(tokens, add + 1)
  if (tokens[next] !== undefined && upper(tokens[next]) === 'CONSTRAINT') return write(tokens)
  const start = tokens[next] !== undefined && upper(tokens[next]) === 'COLUMN' ? next + 1 : add + 1
  return write(tokens.slice(0, start)) + translateColumn(tokens.slice(start))
}

function translateColumn(tokens: Token[], isNumbered = false): string {
  const column = toColumn(tokens)
  if (!column) return write(tokens)
  const { type, rest } = column
  const head = write(column.head)
  if (isNumbered)
    return `${head}BIGINT GENERATED BY DEFAULT AS IDENTITY${write(rest.filter((token) => upper(token) !== 'AUTOINCREMENT'))}`
  const sorted = upper(type) === 'TEXT' && !wordsOf(rest).includes('COLLATE') ? ' COLLATE "C"' : ''
  if (upper(type) === 'ANY') throw unsupported('the column type ANY', 'use one type, or JSON in TEXT')
  return `${head}${types[upper(type)] ?? type.text}${sorted}${write(rest)}`
}

interface Column {
  /** Up to its type. */
  readonly head: readonly Token[]
  readonly name: Token
  readonly type: Token
  readonly rest: readonly Token[]
}

/**
 * A column's definition: name, type, the rest. A constraint of the table begins with a word that no column's name may
 * be, and has no type.
 */
function toColumn(tokens: readonly Token[]): Column | undefined {
  const at = nextMeaning(tokens, 0)
  const end = nextMeaning(tokens, at + 1)
  const [name, type] = [tokens[at], tokens[end]]
  if (!name || type?.kind !== 'word' || constraints.has(upper(name))) return undefined
  return { head: tokens.slice(0, end), name, type, rest: tokens.slice(end + 1) }
}

/**
 * SQLite's names for what PostgreSQL calls otherwise. INTEGER there has up to 64 bits, REAL 64, and TEXT sorts by its
 * bytes.
 */
const types: Readonly<Record<string, string>> = {
  INTEGER: 'BIGINT',
  INT: 'BIGINT',
  REAL: 'DOUBLE PRECISION',
  BLOB: 'BYTEA',
}
const constraints: ReadonlySet<string> = new Set([
  'CONSTRAINT',
  'PRIMARY',
  'UNIQUE',
  'CHECK',
  'FOREIGN',
  'EXCLUDE',
  'LIKE',
])

/** STRICT is how PostgreSQL always is, and WITHOUT ROWID has no meaning there. */
function withoutOptions(tokens: Token[]): string {
  const words = wordsOf(tokens)
  if (!words.every((word) => word === 'STRICT' || word === 'WITHOUT' || word === 'ROWID')) return write(tokens)
  return tokens.some((token) => token.text === ';') ? ';' : ''
}

function write(tokens: readonly Token[]): string {
  for (const [index, token] of tokens.entries()) {
    const word = upper(token)
    if (word === 'AUTOINCREMENT') throw unsupported('AUTOINCREMENT here', 'it belongs behind INTEGER PRIMARY KEY')
    if (word === 'COLLATE' && /^"?NOCASE"?$/i.test(tokens[nextMeaning(tokens, index + 1)]?.text ?? ''))
      throw unsupported('COLLATE NOCASE', 'keep a column in lower case beside it, and search that')
  }
  return tokens.map((token) => token.text).join('')
}

function itemsOf(tokens: readonly Token[]): Token[][] {
  const items: Token[][] = [[]]
  let depth = 0
  for (const token of tokens) {
    if (token.text === '(') depth++
    if (token.text === ')') depth--
    if (token.text === ',' && depth === 0) items.push([])
    else items.at(-1)!.push(token)
  }
  return items
}

/** What stands in no parentheses. */
function outerOf(tokens: readonly Token[]): Token[] {
  let depth = 0
  return tokens.filter((token) => {
    if (token.text === ')') depth--
    const isOuter = depth === 0
    if (token.text === '(') depth++
    return isOuter
  })
}

function closingOf(tokens: readonly Token[], open: number): number {
  let depth = 0
  for (let index = open; index < tokens.length; index++) {
    if (tokens[index]!.text === '(') depth++
    if (tokens[index]!.text === ')' && --depth === 0) return index
  }
  return tokens.length // PostgreSQL will say what it thinks of it
}

function nextMeaning(tokens: readonly Token[], from: number): number {
  let index = from
  while (index < tokens.length && !isMeaning(tokens[index]!)) index++
  return index
}

/** A column's name as SQLite compares it: in any case, quoted or not. */
function nameOf(token: Token | undefined): string {
  return (token?.text ?? '').replaceAll('"', '').toUpperCase()
}

function wordsOf(tokens: readonly Token[]): string[] {
  return tokens.filter((token) => token.kind === 'word').map(upper)
}

function isMeaning(token: Token): token is MeaningToken {
  return token.kind !== 'space'
}

/** The word that it is, whatever its case; of what is no word, its text. */
function upper(token: Token): string {
  return token.kind === 'word' ? token.text.toUpperCase() : token.text
}

function unsupported(what: string, instead: string): AtollError {
  return new AtollError(
    'UNSUPPORTED',
    `PostgreSQL has no ${what}: ${instead}; or give the migration a text of its own for PostgreSQL, { sqlite, postgres }`,
  )
}
