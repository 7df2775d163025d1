import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createNodeHost } from '@atoll/host/node'
import { RetryBudget } from './budget.ts'

function budgetAt(
  ratio: number,
  perSecondMin: number,
): { budget: RetryBudget; advance(ms: number): void; spendable(): number } {
  let now = 0
  const budget = new RetryBudget({ ...createNodeHost(), monotonicMs: () => now }, ratio, perSecondMin)
  return {
    budget,
    advance: (ms) => (now += ms),
    spendable() {
      let count = 0
      while (budget.spend()) count++
      return count
    },
  }
}

describe('the budget for retries', () => {
  it('lets a share of all calls be tried again', () => {
    const { budget, spendable } = budgetAt(0.1, 0)
    for (let call = 0; call < 200; call++) budget.earn()
    const spent = spendable()
    assert.ok(spent === 20 || spent === 19, String(spent)) // tenths do not add up exactly
    assert.equal(spendable(), 0)
  })

  it('lets a few be tried again each second, however few calls there are', () => {
    const { advance, spendable } = budgetAt(0.1, 5)
    assert.equal(spendable(), 5)
    advance(400)
    assert.equal(spendable(), 2)
    advance(60_000)
    assert.equal(spendable(), 5)
  })

  it('saves up no storm', () => {
    const { budget, spendable } = budgetAt(0.1, 0)
    for (let call = 0; call < 1_000_000; call++) budget.earn()
    assert.equal(spendable(), 100)
  })
})
