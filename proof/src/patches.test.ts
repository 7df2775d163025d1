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
    for (const text of ['rollback()', 'commit(); commit()']) assert.throws(() => applyPatches(text, 'a.ts', [patch]), /instead of once; bring .* up to date/)
    assert.equal(applyPatches('begin(); commit()', 'a.ts', [patch]), 'begin(); ')
  })
})
