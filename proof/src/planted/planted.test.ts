import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { targetNames, type TargetName } from '../sim/targets.ts'
import { plantedBugs } from './bugs.ts'
import { catchBug, recordFile, type Catch } from './catch.ts'

// `npm run planted` wrote it
const recorded = new Map((JSON.parse(readFileSync(recordFile, 'utf8')) as Catch[]).map((one) => [one.name, one]))

// Each bug is looked for first where it was found last, which takes no time as long as the code is the same.
describe('the proof', { concurrency: 2 }, () => {
  for (const bug of plantedBugs) {
    it(`notices that ${bug.defect} (${bug.name})`, async () => {
      const last = recorded.get(bug.name)
      const simulation = last?.by as TargetName | undefined
      const found =
        (simulation !== undefined &&
          targetNames.includes(simulation) &&
          (await catchBug(bug, [simulation], 0, last!.seed))) ||
        (await catchBug(bug, targetNames, Math.max(SEEDS_MAX, bug.seedsLeast ?? 0)))
      assert.ok(found, 'nothing noticed; npm run planted looks further')
    })
  }
})

const SEEDS_MAX = 60
