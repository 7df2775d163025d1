import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toMs, type Duration } from './duration.ts'

describe('a duration', () => {
  it('is a number of milliseconds, or a number with a unit', () => {
    const spans: readonly (readonly [Duration, number])[] = [
      [250, 250],
      ['200ms', 200],
      ['2s', 2_000],
      ['15m', 900_000],
      ['1.5h', 5_400_000],
      ['1d', 86_400_000],
      ['0s', 0],
    ]
    for (const [span, ms] of spans) assert.equal(toMs(span), ms, String(span))
  })

  it('goes back as well, where that means something', () => {
    assert.equal(toMs('-30s'), -30_000)
    assert.equal(toMs(-5), -5)
  })

  it('that nobody understands is refused, with one that is understood', () => {
    for (const span of ['15', 'm', '15 m', '1e3s', '1h30m', '']) {
      // as a caller without types may write it
      assert.throws(() => toMs(span as Duration), { name: 'RangeError', message: /'15m'/ }, span)
    }
    for (const span of [NaN, Infinity]) assert.throws(() => toMs(span), RangeError)
  })
})
