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
    assert.equal(asRead('\u200b\u3164'), '')
  })

  it('is another one where people see a difference', () => {
    for (const [one, other] of [['ann', 'anne'], ['zoe', 'zoë'], ['山', '川'], ['ann lee', 'annlee'], ['a.b@x.org', 'ab@x.org']]) assert.notEqual(asRead(one!), asRead(other!))
  })

  it('is the same again when it is read twice', () => {
    for (const text of ['İstanbul', 'ẞ', 'ﬀ', 'ᾳ', 'ǅ', '㎏', 'Å']) assert.equal(asRead(asRead(text)), asRead(text), text)
  })

  it('may be of any alphabet, and not of two that look alike', () => {
    for (const text of ['ann', 'Анна', 'Άννα', '山田 Anna', 'アンナ', '안나 Ann', 'أنا', 'ann-2 🍵']) assert.ok(!mixesAlphabets(text), text)
    for (const text of ['аnn', 'Αnn', 'annа', 'Анnа']) assert.ok(mixesAlphabets(text), text)
  })

  it('has nothing in it that nobody sees, but the joiners that some languages need', () => {
    for (const text of ['a\u200bnn', 'ann\u202e', 'a\u00adnn', '\ufeffann']) assert.ok(hasUnseen(text), JSON.stringify(text))
    for (const text of ['ann', 'می\u200cخواهم', '👩\u200d💻']) assert.ok(!hasUnseen(text), text)
  })
})
