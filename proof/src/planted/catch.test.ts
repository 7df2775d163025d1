import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PlantedBug } from './bugs.ts'
import { catchBug } from './catch.ts'

const file = 'packages/testkit/src/world/duration.ts'
const test = 'packages/testkit/src/world/duration.test.ts'
const rotted: PlantedBug = {
  name: 'text-that-has-rotted',
  defect: 'nothing is',
  changes: [{ file, find: 'a text that is not there', replace: '' }],
}
const broken: PlantedBug = {
  name: 'no-code-at-all',
  defect: 'a module cannot be loaded',
  changes: [{ file, find: 'export function toMs(', replace: "import './nowhere.ts'\nexport function toMs(" }],
}

describe('the search for a planted bug', { concurrency: 2 }, () => {
  it('rejects a bug whose text is not there', async () => {
    await assert.rejects(catchBug(rotted, ['bank'], 1), /text-that-has-rotted cannot be planted/)
    await assert.rejects(catchBug({ ...rotted, test }, ['bank'], 1), /text-that-has-rotted cannot be planted/)
    await assert.rejects(catchBug({ ...rotted, changes: [] }, ['bank'], 1), /changes nothing/)
  })

  it('does not take code that cannot be loaded for code that was caught', async () => {
    await assert.rejects(catchBug(broken, ['bank'], 5), /no-code-at-all \d runs came to nothing/)
    await assert.rejects(catchBug({ ...broken, test }, ['bank'], 5), /ended before a test of it failed/)
  })
})
