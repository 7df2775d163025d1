import { AtollError } from '@atoll/host'

/** PostgreSQL cuts off longer names without a word, so that two of them may become one. */
const nameBytesMax = 63

/**
 * A name of a schema, table, role or channel, as it stands in SQL. Throws INVALID for one that PostgreSQL would not
 * take as it is.
 */
export function quoteIdentifier(name: string): string {
  const bytes = Buffer.byteLength(name)
  if (bytes === 0 || bytes > nameBytesMax || name.includes('\0')) {
    throw new AtollError(
      'INVALID',
      `'${name.replaceAll('\0', '\\0')}' cannot be a name in PostgreSQL: names have 1 to ${nameBytesMax} bytes and no NUL`,
    )
  }
  return `"${name.replaceAll('"', '""')}"`
}

/** A text as it stands in SQL, for statements that take no parameters. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted
}
