import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { asRead, hasUnseen, mixesAlphabets } from './reading.ts'

describe('a name as people read it', () => {
  it('is the same in capitals, in other forms of its characters, with what cannot be seen, and with other spaces', () => {
    for (const [one, other] of [
      ['ann', 'ANN'],
      ['ann', 'ａｎｎ'],
      ['ann', 'a\u200bn\u00adn\ufeff'],
      ['ann', 'a\u202en\u2069n'],
      ['ann', 'an\u3164n\u{e0041}\ufe0f'],
      ['ann lee', ' ann \u00a0\u2003 lee '],
      ['zoë', 'ZOE\u0308'],
      ['straße', 'STRASSE'],
      ['ﬁona', 'fiona'],
      ['ΣΊΣΥΦΟΣ', 'σίσυφος'],
      ['Ann@Example.com', 'ann@example.COM'],
    ]) {
      assert.equal(asRead(one!), asRead(other!), `${one} ${other}`)
    }
    for (const blank of ['\u200b\u3164', '\u2800', '\u115f\u1160', '\uffa0\u2800']) assert.equal(asRead(blank), '')
  })

  it('is another one where people see a difference', () => {
    for (const [one, other] of [
      ['ann', 'anne'],
      ['zoe', 'zoë'],
      ['山', '川'],
      ['ann lee', 'annlee'],
      ['a.b@x.org', 'ab@x.org'],
    ])
      assert.notEqual(asRead(one!), asRead(other!))
  })

  it('is the same again when it is read twice', () => {
    for (const text of ['İstanbul', 'ẞ', 'ﬀ', 'ᾳ', 'ǅ', '㎏', 'Å'])
      assert.equal(asRead(asRead(text)), asRead(text), text)
  })

  it('may be of any alphabet, and not of two that look alike', () => {
    for (const text of ['ann', 'Анна', 'Άννα', '山田 Anna', 'アンナ', '안나 Ann', 'أنا', 'ann-2 🍵'])
      assert.ok(!mixesAlphabets(text), text)
    for (const text of ['аnn', 'Αnn', 'annа', 'Анnа']) assert.ok(mixesAlphabets(text), text)
  })

  it('has nothing in it that nobody sees, but the joiners that some languages need', () => {
    for (const text of [
      'a\u200bnn',
      'ann\u202e',
      'a\u00adnn',
      '\ufeffann',
      'ann\u2800',
      '\u3164',
      'a\u115fnn',
      'ann\u1160',
      '\uffa0ann',
      'a\u034fnn',
      'ann\u17b4',
      '\u200dann',
      'ann \ufe0f',
      'ann\ufe0f\ufe0f',
    ])
      assert.ok(hasUnseen(text), JSON.stringify(text))
    for (const text of ['ann', 'می\u200cخواهم', '👩\u200d💻', '👩\u200d❤\ufe0f\u200d👨', '葛\u{e0100}城', '안나'])
      assert.ok(!hasUnseen(text), text)
  })
})
