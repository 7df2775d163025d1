import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatTable, tellTable } from './table.ts'

async function* numbered(count: number, give: (nth: number) => void = () => {}): AsyncGenerator<number> {
  for (let nth = 0; nth < count; nth++) {
    give(nth)
    yield nth
  }
}

describe('a table', () => {
  it('has columns as wide as what is in them', () => {
    assert.equal(
      formatTable(
        ['id', 'tries'],
        [
          ['a', 1],
          ['abc', 10],
        ],
      ),
      'id   tries\na        1\nabc     10',
    )
  })

  it('of any number of rows is told as they come, and keeps no more than a page of them', async () => {
    const pages: string[] = []
    let untold = 0
    let most = 0
    const count = await tellTable(
      ['id', 'nth'],
      numbered(1_000, () => (most = Math.max(most, ++untold))),
      (nth) => [`letter ${nth}`, nth],
      (page) => {
        pages.push(page)
        untold = 0
      },
    )
    const lines = pages.join('\n').split('\n')
    assert.deepEqual(
      [count, lines.length, lines[0]!.trim().split(/ +/), lines.at(-1)],
      [1_000, 1_001, ['id', 'nth'], 'letter 999  999'],
    )
    assert.ok(most <= 200, `${most} rows were kept`)
    assert.equal(new Set(lines.slice(0, 200).map((line) => line.length)).size, 1, 'columns are columns')
  })

  it('of none is told by nobody', async () => {
    assert.equal(
      await tellTable(
        ['id'],
        numbered(0),
        (nth) => [nth],
        () => assert.fail(),
      ),
      0,
    )
  })
})
