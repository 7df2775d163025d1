import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toVisible, toVisibleJson, toVisibleLines, visible } from './visible.ts'

/** Everything that a terminal obeys, hides or turns around, of every kind that there is. */
const hostile = [
  '\u001b[2J',
  '\u009b31m',
  '\u0007',
  '\b',
  '\r',
  '\n',
  '\t',
  '\u007f',
  '\u202e',
  '\u2066',
  '\u200f',
  '\u061c',
  '\u200b',
  '\u2060',
  '\ufeff',
  '\u00ad',
  '\u2028',
  '\u2029',
  '\u{e0041}',
  '\ud800',
  '\0',
]

describe('what others wrote', () => {
  it('is shown as it is, in every alphabet', () => {
    for (const text of ['tea', 'Crème brûlée', '山と川', 'שלום', 'مرحبا', 'e\u0301', '🍵', '{"a":"b\\n"}', ''])
      assert.equal(toVisible(text), text)
  })

  it('cannot move a cursor, hide, turn around, or begin a line', () => {
    for (const text of hostile)
      assert.match(toVisible(`a${text}b`), /^a(\\[nrt]|(\\u[0-9a-f]{4})+)[\x20-\x7e]*b$/, JSON.stringify(text))
    assert.equal(toVisible('\u001b[31mx\r\n2026-01-01  all is well'), '\\u001b[31mx\\r\\n2026-01-01  all is well')
    assert.equal(visible`key ${'a\nkey b'} at ${7}`, 'key a\\nkey b at 7')
  })

  it('keeps its lines where it has some, each behind an indent', () => {
    assert.equal(toVisibleLines('Error: x\r\n    at \u001b[1my', '  '), '  Error: x\\r\n      at \\u001b[1my')
  })

  it('means the same as JSON', () => {
    const value = { [hostile.join('')]: hostile }
    const text = toVisibleJson(value)
    assert.deepEqual([JSON.parse(text), toVisible(text)], [value, text])
  })
})
