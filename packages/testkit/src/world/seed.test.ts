import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventfulDay } from '../../test/day.ts'

describe('a seed', () => {
  it('gives the same run, step by step, as often as one likes', async () => {
    const [one, two] = [await eventfulDay(7), await eventfulDay(7)]
    assert.deepEqual(one, two)
    assert.ok(one.count > 500, `${one.count} steps`)
  })

  it('gives another run than another', async () => {
    const hashes = new Set<string>()
    for (let seed = 0; seed < 10; seed++) hashes.add((await eventfulDay(seed)).hash)
    assert.equal(hashes.size, 10)
  })

  it('gives the same run in another process', async () => {
    const answer = execFileSync(process.execPath, [fileURLToPath(new URL('../../test/day.ts', import.meta.url)), '7'], {
      encoding: 'utf8',
    })
    assert.deepEqual(JSON.parse(answer), await eventfulDay(7))
  })

  it('gives the same run while another world runs beside it', async () => {
    const [one, , two] = await Promise.all([eventfulDay(7), eventfulDay(8), eventfulDay(7)])
    assert.deepEqual(one, two)
    assert.deepEqual(one, await eventfulDay(7))
  })
})
