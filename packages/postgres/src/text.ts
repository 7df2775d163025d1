// PostgreSQL's text has no U+0000, and UTF-8 has no half of a surrogate pair. JavaScript's strings have both, and a key
// may be any string. What cannot be stored as it is, is written with an escape, U+0001, and so is U+0001 itself; every
// other text is stored as it is, readable for people.

const escape = '\u0001'
const unstorable = /[\u0000\u0001]/
const toEscape = /[\u0000\u0001]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g
const escaped = /\u0001(0|1|d[89a-f][0-9a-f]{2})/g

/** Any string as a text that PostgreSQL can store. Different strings stay different. */
export function toStorable(text: string): string {
  if (!unstorable.test(text) && text.isWellFormed()) return text
  return text.replaceAll(toEscape, (unit) => escape + unit.charCodeAt(0).toString(16))
}

/** What {@link toStorable} was given. */
export function fromStorable(stored: string): string {
  return stored.includes(escape)
    ? stored.replaceAll(escaped, (_, code: string) => String.fromCharCode(parseInt(code, 16)))
    : stored
}
