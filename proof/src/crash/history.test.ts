import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Kind, Line, Outcome } from './book.ts'
import { History } from './history.ts'

const tried = (id: string, register: string, value = id, kind: Kind = 'publish'): Line => ({
  state: 'tried',
  id,
  kind,
  register,
  value,
})
const told = (id: string, state: Outcome): Line => ({ state, id, status: 0 })
const seen = (registers: Record<string, string[]>, events: Record<string, number>) => ({
  registers: new Map(Object.entries(registers)),
  events: new Map(Object.entries(events)),
})

function judge(lines: readonly Line[], registers: Record<string, string[]>, events: Record<string, number>): string[] {
  const history = new History()
  history.add(lines)
  return history.judge(seen(registers, events))
}

describe('the book of a client, against what is there', () => {
  it('wants what was acknowledged exactly once', () => {
    const lines = [tried('1', 'article:a'), told('1', 'acknowledged')]
    assert.deepEqual(judge(lines, { 'article:a': ['1'] }, { 1: 1 }), [])
    assert.match(judge(lines, {}, { 1: 1 }).join(), /article:a holds '' and should hold '1'/)
    assert.match(judge(lines, { 'article:a': ['1', '1'] }, { 1: 1 }).join(), /is there 2 times/)
    assert.match(judge(lines, { 'article:a': ['1'] }, {}).join(), /led to 0 events instead of 1/)
    assert.match(judge(lines, { 'article:a': ['1'] }, { 1: 2 }).join(), /led to 2 events instead of 1/)
  })

  it('wants what was refused never', () => {
    const lines = [tried('1', 'article:a'), told('1', 'refused')]
    assert.deepEqual(judge(lines, {}, {}), [])
    assert.match(judge(lines, { 'article:a': ['1'] }, {}).join(), /holds '1' and should hold ''/)
    assert.match(judge(lines, {}, { 1: 1 }).join(), /was refused and led to 1 events/)
  })

  it('takes what is unknown once or never, and holds on to what it turned out to be', () => {
    const lines = [tried('1', 'article:a'), told('1', 'unknown')]
    assert.deepEqual(judge(lines, {}, {}), [])
    assert.deepEqual(judge(lines, { 'article:a': ['1'] }, { 1: 1 }), [])
    assert.match(judge(lines, { 'article:a': ['1'] }, { 1: 2 }).join(), /led to 2 events/)
    const history = new History()
    history.add(lines)
    assert.deepEqual(history.judge(seen({ 'article:a': ['1'] }, { 1: 1 })), [])
    assert.match(history.judge(seen({}, { 1: 1 })).join(), /holds '' and should hold '1'/)
  })

  it('wants nothing that nobody asked for', () => {
    assert.match(judge([], { 'article:a': ['1'] }, {}).join(), /no request that was not refused set it/)
    assert.match(judge([], {}, { 1: 1 }).join(), /caused by 1, which nobody sent/)
  })

  it('wants what belongs to an article to go with it', () => {
    const lines = [
      tried('1', 'article:a'),
      told('1', 'acknowledged'),
      tried('2', 'comment:a:2', '2', 'comment'),
      told('2', 'acknowledged'),
      tried('3', 'article:a', '', 'delete'),
      told('3', 'acknowledged'),
    ]
    const events = { 1: 1, 2: 1, 3: 1 }
    assert.deepEqual(judge(lines, {}, events), [])
    assert.match(judge(lines, { 'comment:a:2': ['2'] }, events).join(), /is there, and its article is not/)
  })
})
