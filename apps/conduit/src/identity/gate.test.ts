import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Gate } from './gate.ts'

/** Work that ends when the test says so, and a note of each that began. */
function createWork() {
  const begun: { readonly name: string; end(): void }[] = []
  const work = (name: string) => () =>
    new Promise<string>((resolve) => void begun.push({ name, end: () => resolve(name) }))
  return { begun, work, names: () => begun.map(({ name }) => name) }
}

/** After all that can settle by itself has settled. */
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

describe('a gate', () => {
  it('lets so much happen at a time, the rest in order, and refuses what would wait beyond that', async () => {
    const { begun, work, names } = createWork()
    const gate = new Gate('jobs', { inFlightMax: 2, waitingMax: 2 })
    const all = ['a', 'b', 'c', 'd'].map((name) => gate.run(work(name)))
    await assert.rejects(gate.run(work('e')), /OVERLOADED: 2 jobs wait already/)
    assert.throws(() => gate.assertRoom(), /OVERLOADED: 2 jobs wait already/)
    await turn()
    assert.deepEqual(names(), ['a', 'b'])
    begun[1]!.end()
    await turn()
    assert.deepEqual(names(), ['a', 'b', 'c'])
    gate.assertRoom()
    begun[0]!.end()
    await turn()
    for (const { end } of begun) end()
    assert.deepEqual(await Promise.all(all), ['a', 'b', 'c', 'd'])
  })

  it('does not do what nobody waits for any more, and gives its place to others', async () => {
    const { begun, work, names } = createWork()
    const gate = new Gate('jobs', { inFlightMax: 1, waitingMax: 1 })
    const first = gate.run(work('first'))
    const left = new AbortController()
    const abandoned = gate.run(work('abandoned'), left.signal)
    left.abort(new Error('the client went away'))
    await assert.rejects(abandoned, /the client went away/)
    await assert.rejects(gate.run(work('too late'), left.signal), /the client went away/)
    const next = gate.run(work('next'))
    await turn()
    begun[0]!.end()
    await first
    await turn()
    begun[1]!.end()
    assert.deepEqual([await next, names()], ['next', ['first', 'next']])
  })

  it('goes on after work that fails', async () => {
    const gate = new Gate('jobs', { inFlightMax: 1, waitingMax: 1 })
    await assert.rejects(
      gate.run(() => Promise.reject(new Error('no'))),
      /no/,
    )
    assert.equal(await gate.run(async () => 'yes'), 'yes')
  })
})
