import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AtollError } from '@atoll/host'
import { createRandom, world, type Backup, type Random, type World } from '@atoll/testkit'
import { handlers, notes, restoresSystem, type HandledTables, type IndexTables } from './system.ts'

// Any parts of a system come back from backups of any moments, as each seed draws it. Whatever comes of that: what is
// ready has handled every event that there is, each once; and what cannot have, says so at every start.

const SEEDS = 30
const MIXED_SEEDS = 8
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
  // Often what emits comes back together with the log: then each of them is whole, and only who has handled more can
  // tell.
  const together: readonly string[] = random.chance(0.5) ? ['notes', 'copies', 'log'] : []
  if (together.length > 0) await town.restore(random.pick(backups), ...together)
  for (const part of parts)
    if (!together.includes(part) && random.chance(0.4)) await town.restore(random.pick(backups), part)
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

/**
 * Two systems that have taken the same notes: their logs are of one length, and no event of the one is in the other.
 * Some parts of the one come back as the other's.
 */
async function mix(seed: number): Promise<void> {
  const random = createRandom(seed)
  const runtime = { partitions: 2 }
  await using ours = await world(restoresSystem, { seed: `${seed} ours`, runtime })
  await using theirs = await world(restoresSystem, { seed: `${seed} theirs`, runtime })
  for (const town of [ours, theirs]) {
    for (let nth = 0; nth < 4; nth++) await town.call(notes.take, { id: `n${nth}` })
    await town.clock.advance('10s')
  }
  const swapped = parts.filter(() => random.chance(0.5))
  const isMixed =
    // the projection is a part of files
    swapped.length > 0 && !['notes', 'copies', 'files', 'log'].every((part) => swapped.some((one) => one === part))
  const other = isMixed ? swapped : [parts[seed % parts.length]!]
  const [whole, backup] = [await ours.backup(), await theirs.backup()]
  ours.powerLoss()
  for (const part of other) await ours.restore(backup, part)
  for (let start = 0; start < 3; start++) {
    await ours.start()
    await ours.clock.advance('10s')
    assert.match(
      ours.readiness().reasons.join('\n'),
      /STORE_OUTDATED|LOG_GAP|LOG_DIVERGED/,
      `seed ${seed}, ${other.join(' and ')}, start ${start}`,
    )
    await take(ours, random, `after-${start}`)
    assert.equal(ours.readiness().ready, false, `seed ${seed}, ${other.join(' and ')}, start ${start}, later`)
    ours.powerLoss()
  }
  await ours.restore(whole)
  await ours.start()
  await take(ours, random, 'mended')
  await ours.quiet()
  assert.deepEqual(ours.readiness().reasons, [], `seed ${seed}, mended`)
  await assertHonest(ours, `seed ${seed}, mended`)
}

describe('a system whose parts come back from different moments', () => {
  it('handles every event that there is, once, or says at every start that it cannot; and is whole once all are of one moment', async () => {
    for (let seed = 0; seed < SEEDS; seed++) await tryOut(seed)
  })
})

describe('a system of which parts come back as those of another with as many events', () => {
  it('says at every start that they do not fit, whatever parts those are; and is whole once all are its own', async () => {
    for (let seed = 0; seed < MIXED_SEEDS; seed++) await mix(seed)
  })
})
