import pg from 'pg'
import type { Value } from './client.ts'

type Parser = (text: string) => Value

/** A whole number: as a number where it is exact, else as a bigint. */
function parseInteger(text: string): number | bigint {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}

// the library does not say which parser it is
const toBuffer = pg.types.getTypeParser(pg.types.builtins.BYTEA, 'text') as (text: string) => Uint8Array
/** A copy, because a Buffer may lie in memory that it shares with others. */
const parseBytes: Parser = (text) => new Uint8Array(toBuffer(text))

const parsers: ReadonlyMap<number, Parser> = new Map([
  [pg.types.builtins.BOOL, (text: string) => text === 't'],
  [pg.types.builtins.INT2, Number],
  [pg.types.builtins.INT4, Number],
  [pg.types.builtins.INT8, parseInteger],
  [pg.types.builtins.OID, Number],
  [pg.types.builtins.FLOAT4, Number],
  [pg.types.builtins.FLOAT8, Number],
  [pg.types.builtins.BYTEA, parseBytes],
])

const asText: Parser = (text) => text

/**
 * What `numeric` holds (sums and averages are such): whole numbers as those of other types, fractions as numbers, and
 * what is neither as text.
 */
function parseNumeric(text: string): number | bigint | string {
  if (/^-?\d+$/.test(text)) return parseInteger(text)
  return text.includes('.') ? Number(text) : text
}

const plainParsers: ReadonlyMap<number, Parser> = new Map([
  ...parsers,
  [pg.types.builtins.BOOL, (text: string) => (text === 't' ? 1 : 0)],
  [pg.types.builtins.NUMERIC, parseNumeric],
])

/**
 * How values come out of statements, for this package alone: the library's own settings are shared by the whole
 * process.
 */
export const types = { exact: typesOf(parsers), plain: typesOf(plainParsers) } as const

function typesOf(known: ReadonlyMap<number, Parser>): pg.CustomTypesConfig {
  // The library declares getTypeParser to answer whatever the caller wishes; this answers what `Value` says.
  return { getTypeParser: ((oid: number) => known.get(oid) ?? asText) as typeof pg.types.getTypeParser }
}
