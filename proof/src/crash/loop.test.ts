import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loop } from './loop.ts'
import { formatSummary } from './report.ts'
import { sabotages } from './sabotage.ts'

// Another seed each time; a failure says which.
const seed = Date.now() % 2 ** 31

describe('Conduit, killed at any moment and started again', () => {
  it('has each acknowledged request once, no refused one, each unknown one at most once, and shows what it has', async () => {
    const summary = await loop({ kills: 12, seed })
    assert.equal(summary.violation, undefined, formatSummary(summary, 0))
    assert.equal(summary.kills, 12)
    assert.ok(summary.checks > 0 && summary.requests.acknowledged > 0)
  })

  it('is caught when its relay gives an event a second number', async () => {
    const sabotage = sabotages.find(({ name }) => name === 'numbers events from where the log ends')
    const { violation } = await loop({ kills: 10, seed, sabotage })
    assert.match(violation?.text ?? 'it was not', /led to 2 events|is not in order/)
  })
})
