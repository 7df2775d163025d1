import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { int4Array, int8Array, textArray } from './arrays.ts'
import { quoteIdentifier, quoteLiteral } from './quote.ts'
import { Statements } from './statements.ts'
import { fromStorable, toStorable } from './text.ts'

describe('texts that PostgreSQL can store', () => {
  const texts = [
    '',
    'plain',
    'a\u0000b',
    '\u0000',
    '\u0001',
    '\u00010',
    '\u0001d800',
    'half \ud800',
    '\udc00 half',
    '\udc00\ud800',
    '👩‍👩‍👧‍👦',
    'e\u0301',
    '\u0000\u0001\u0000',
  ]

  it('come back as they were, whatever they are', () => {
    for (const text of texts) assert.equal(fromStorable(toStorable(text)), text)
  })

  it('have no NUL and no half characters, and differ where those that they stand for differ', () => {
    const stored = texts.map(toStorable)
    for (const text of stored) assert.ok(!text.includes('\0') && text.isWellFormed())
    assert.equal(new Set(stored).size, texts.length)
  })

  it('are as they were, but for those that cannot be stored', () => {
    for (const text of ['plain', '👩‍👩‍👧‍👦', 'tab\tand\nline', '\\0', 'ü'.repeat(1000)]) assert.equal(toStorable(text), text)
  })
})

describe('arrays in the wire format', () => {
  it('refuse numbers that would come out as others', () => {
    for (const number of [0.5, NaN, Infinity, 2 ** 53]) assert.throws(() => int8Array([number]), RangeError)
    for (const number of [0.5, NaN, 2 ** 31, -(2 ** 31) - 1]) assert.throws(() => int4Array([number]), RangeError)
  })

  it('may be empty', () => {
    assert.deepEqual(
      [textArray([]), int4Array([]), int8Array([])].map((array) => array.readInt32BE(0)),
      [0, 0, 0],
    )
  })
})

describe('quoted names and texts', () => {
  it('are what they stand for, whatever is in them', () => {
    assert.equal(quoteIdentifier('a"; DROP TABLE b; --'), '"a""; DROP TABLE b; --"')
    assert.equal(quoteLiteral("it's"), "'it''s'")
    assert.equal(quoteLiteral("\\'"), " E'\\\\'''")
  })

  it('are refused where PostgreSQL would cut them off or end them early', () => {
    for (const name of ['', 'x'.repeat(64), 'ü'.repeat(32), 'a\0b'])
      assert.throws(() => quoteIdentifier(name), { code: 'INVALID' })
  })
})

describe('names of prepared statements', () => {
  it('are given at the second use, and stay', () => {
    const statements = new Statements(10)
    assert.equal(statements.nameOf('SELECT 1'), undefined)
    const name = statements.nameOf('SELECT 1')
    assert.ok(name)
    assert.equal(statements.nameOf('SELECT 1'), name)
    statements.nameOf('SELECT 2')
    assert.notEqual(statements.nameOf('SELECT 2'), name)
  })

  it('are no more than the limit, however many statements there are', () => {
    const statements = new Statements(10)
    const names = new Set<string | undefined>()
    for (let index = 0; index < 1000; index++)
      for (let use = 0; use < 3; use++) names.add(statements.nameOf(`SELECT ${index}`))
    assert.equal(names.size, 11) // ten, and undefined
  })
})
