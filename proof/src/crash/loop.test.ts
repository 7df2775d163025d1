import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loop } from './loop.ts'
import { formatSummary } from './report.ts'

describe('Conduit, killed at any moment and started again', () => {
  it('has each acknowledged request once, no refused one, each unknown one at most once, and shows what it has', async () => {
    const summary = await loop({ kills: 12, seed: Date.now() % 2 ** 31 })
    assert.equal(summary.violation, undefined, formatSummary(summary, 0))
    assert.equal(summary.kills, 12)
    assert.ok(summary.checks > 0 && summary.requests.acknowledged > 0)
  })
})
