import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { plantedBugs } from './planted/bugs.ts'
import { catchBug, recordFile, type Catch } from './planted/catch.ts'
import { targetNames } from './sim/targets.ts'

// npm run planted -- [names …] [--seeds 300]: plants one bug after the other, notes what catches it, and after how many
// seeds.

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: 'string', default: '300' }, help: { type: 'boolean' } },
})
if (values.help) {
  console.log(
    `npm run planted -- [names …] [--seeds 300]\nplants one bug after the other, and notes what catches it\n\n${plantedBugs.map(({ name, defect }) => `  ${name}: ${defect}`).join('\n')}`,
  )
  process.exit(0)
}
const wanted = positionals.length === 0 ? plantedBugs : plantedBugs.filter((bug) => positionals.includes(bug.name))
const unknown = positionals.find((name) => !plantedBugs.some((bug) => bug.name === name))
if (unknown !== undefined) {
  console.error(`there is no planted bug ${unknown}; there are ${plantedBugs.map((bug) => bug.name).join(', ')}`)
  process.exit(2)
}

// written below
const known: Catch[] = existsSync(recordFile) ? (JSON.parse(readFileSync(recordFile, 'utf8')) as Catch[]) : []
const caught = new Map(known.map((one) => [one.name, one]))
let missed = 0
for (const bug of wanted) {
  caught.delete(bug.name)
  const found = await catchBug(bug, targetNames, Math.max(Number(values.seeds), bug.seedsLeast ?? 0)).catch(
    (error: unknown) => {
      console.log(`✗ ${error instanceof Error ? error.message : String(error)}`)
      return 'unknown' as const
    },
  )
  if (typeof found === 'object') {
    caught.set(bug.name, found)
    console.log(
      `✓ ${bug.name}: ${found.by}, ${found.seeds === 1 ? 'at once' : `after ${found.seeds} seeds`}: ${found.broken}`,
    )
  } else {
    missed++
    if (found === undefined) console.log(`✗ ${bug.name}: nothing noticed that ${bug.defect}`)
  }
  // After each, so that whoever ends it early keeps what was found, and no catch of a bug that has changed meanwhile.
  writeFileSync(
    recordFile,
    `${JSON.stringify(
      plantedBugs.flatMap(({ name }) => caught.get(name) ?? []),
      null,
      2,
    )}\n`,
  )
}
console.log(
  `${wanted.length - missed} of ${wanted.length} planted bugs were caught. npm run fix writes docs/internals/proof.md anew`,
)
process.exitCode = missed === 0 ? 0 : 1
