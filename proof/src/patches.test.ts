import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { applyPatches, assertPatchesFit } from './patches.ts'
import { plantedBugs } from './planted/bugs.ts'
import { assertPlantable } from './planted/plant.ts'
import { allPatches } from './crash/plant.ts'

describe('a patch at load time', () => {
  for (const [name, patches] of allPatches()) it(`fits the code as it is: ${name}`, () => assertPatchesFit(patches))
  for (const bug of plantedBugs) it(`fits the code as it is: ${bug.name}`, () => assertPlantable(bug))

  it('is refused, with what to do, when its snippet is not there exactly once', () => {
    const patch = { file: 'a.ts', find: 'commit()', replace: '' }
    for (const text of ['rollback()', 'commit(); commit()'])
      assert.throws(() => applyPatches(text, 'a.ts', [patch]), /instead of once; bring .* up to date/)
    assert.equal(applyPatches('begin(); commit()', 'a.ts', [patch]), 'begin(); ')
  })

  it('is refused where what it leaves is no code', () => {
    const patch = { file: 'proof/src/patches.ts', find: 'export const root =', replace: 'export const (' }
    assert.throws(() => assertPatchesFit([patch]), { code: 'ERR_INVALID_TYPESCRIPT_SYNTAX' })
  })

  it('finds its snippet however that is laid out, and leaves the lines around it as they are', () => {
    const patch = { file: 'a.ts', find: '  await commit(a, [b])\n', replace: '  rollback()\n' }
    for (const text of ['await commit(a, [b])', 'await commit(\n  a,\n  [b],\n)', 'await  commit( a,[ b ] )'])
      assert.equal(applyPatches(`begin()\n${text}\nend()`, 'a.ts', [patch]), 'begin()\nrollback()\nend()')
    for (const text of ['awaitcommit(a, [b])', 'await commit(a, [b], c)', 'await commit(a [b])'])
      assert.throws(() => applyPatches(text, 'a.ts', [patch]), /found it 0 times/)
  })
})
