import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toSlug } from './slug.ts'

describe('a slug', () => {
  it('keeps letters of every alphabet, and drops accents and all else', () => {
    assert.equal(toSlug('How to Train Your Dragon!'), 'how-to-train-your-dragon')
    assert.equal(toSlug('  Crème brûlée — 山と川  '), 'creme-brulee-山と川')
    assert.equal(toSlug('☕!'), '')
  })

  it('ends with a whole letter, however long the title is', () => {
    const slug = toSlug(`x${'𠀀'.repeat(200)}`)
    assert.ok(slug.isWellFormed())
    assert.equal(slug.length, 99)
  })
})
