import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AtollError } from '@atoll/host'
import { createRandom, world, type Backup, type Random, type World } from '@atoll/testkit'
import { handlers, notes, restoresSystem, type HandledTables, type IndexTables } from './system.ts'

// Any parts of a system come back from backups of any moments, as each seed draws it. Whatever comes of that: what is ready has handled every event
// that there is, each once; and what cannot have, says so at every start.

const SEEDS = 30
const parts = ['notes', 'copies', 'files', 'files.index', 'log'] as const

/** Takes notes; those that are refused because something is halted do not count. */
async function take(town: World, random: Random, round: string): Promise<void> {
  const taking = Array.from({ length: 1 + random.int(6) }, (_, nth) => town.call(notes.take, { id: `${round}-${nth}` }))
  await Promise.allSettled(taking)
  await town.clock.advance('10s')
}

/** Which event of the log has not had its effect, or more than once; undefined if each has had it once. */
async function findUnhandled(town: World): Promise<string | undefined> {
  for (const { store, table, event } of handlers) {
    const rows = await town.db<HandledTables & IndexTables>(store).selectFrom(table).select('event').execute()
    for (const { id, number, partition } of await town.events(event)) {
      const times = rows.filter((row) => row.event === id).length
      if (times !== 1) return `${store} has handled ${event.name} ${partition}/${number} ${times} times`
    }
  }
  return undefined
}

async function assertHonest(town: World, when: string): Promise<void> {
  const { ready, reasons } = town.readiness()
  const unhandled = await findUnhandled(town)
  const unbalanced = (await town.ledger()).filter(({ balanced }) => !balanced)
  if (ready) {
    assert.equal(unhandled, undefined, `${when}: it is ready, and ${unhandled}`)
    assert.deepEqual(unbalanced, [], `${when}: it is ready, and its ledger does not balance`)
  } else {
    assert.match(reasons.join('\n'), /STORE_OUTDATED|LOG_GAP|LOG_DIVERGED|LEDGER_UNBALANCED/, when)
  }
}

async function tryOut(seed: number): Promise<void> {
  const random = createRandom(seed)
  await using town = await world(restoresSystem, { seed, runtime: { partitions: 2 } })
  const backups: Backup[] = []
  for (let round = 0; round < 3; round++) {
    await take(town, random, `before-${round}`)
    backups.push(await town.backup())
  }
  await take(town, random, 'last')
  town.powerLoss()
  // Often what emits comes back together with the log: then each of them is whole, and only who has handled more can tell.
  const together: readonly string[] = random.chance(0.5) ? ['notes', 'copies', 'log'] : []
  if (together.length > 0) await town.restore(random.pick(backups), ...together)
  for (const part of parts) if (!together.includes(part) && random.chance(0.4)) await town.restore(random.pick(backups), part)
  for (let start = 0; start < 3; start++) {
    const refusal = await town.start().catch((error: AtollError) => error)
    if (refusal) {
      assert.equal(refusal.code, 'LOG_GAP', `seed ${seed}, start ${start}`)
      town.powerLoss()
      continue
    }
    await town.clock.advance('10s')
    await assertHonest(town, `seed ${seed}, start ${start}`)
    await take(town, random, `after-${start}`)
    await assertHonest(town, `seed ${seed}, start ${start}, later`)
    town.powerLoss()
  }
  await town.restore(random.pick(backups))
  await town.start()
  await take(town, random, 'mended')
  await town.quiet()
  assert.deepEqual(town.readiness().reasons, [], `seed ${seed}, mended`)
  await assertHonest(town, `seed ${seed}, mended`)
  await town.assertConserved()
}

describe('a system whose parts come back from different moments', () => {
  it('handles every event that there is, once, or says at every start that it cannot; and is whole once all are of one moment', async () => {
    for (let seed = 0; seed < SEEDS; seed++) await tryOut(seed)
  })
})
