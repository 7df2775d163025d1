/**
 * A text that others wrote, as a terminal can show it: on one line, and with everything that a terminal would obey or
 * hide written out (`\u001b`). Keys, errors and logs hold what anybody sent. Escape sequences in them would clear
 * screens, retitle windows and hide what came before, a line break would pose as a line of ours, and marks of direction
 * turn a text around.
 */
export function toVisible(value: unknown): string {
  const text = String(value)
  return unseen.test(text) ? text.replace(allUnseen, escape) : text
}

/**
 * The same for a text of several lines, such as a stack: each becomes one, with `indent` before it, so that none can
 * pose as a line of ours.
 */
export function toVisibleLines(text: string, indent = ''): string {
  return text
    .split('\n')
    .map((line) => indent + toVisible(line))
    .join('\n')
}

/** A line of ours around values that others wrote. */
export function visible(ours: TemplateStringsArray, ...values: readonly unknown[]): string {
  return ours.map((text, index) => (index === 0 ? text : toVisible(values[index - 1]) + text)).join('')
}

/** A value as JSON that a terminal can show; it means the same. */
export function toVisibleJson(value: unknown): string {
  return toVisible(JSON.stringify(value))
}

/**
 * What a terminal obeys (controls), hides or turns around (format characters), takes for the end of a line, or cannot
 * show (halves of characters).
 */
const kinds = String.raw`[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]`
const unseen = new RegExp(kinds, 'u')
const allUnseen = new RegExp(kinds, 'gu')

const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** As JSON writes it, so that JSON stays what it is: two for a character beyond the first 65,536. */
function escape(character: string): string {
  return (
    short[character] ??
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join('')
  )
}
