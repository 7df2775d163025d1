import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { inFolder, type Served } from './served.ts'
import { eventually } from './wait.ts'

const LEASE_MS = 300

describe('a process that is paused in the midst of its work, for longer than its leases', () => {
  it('loses and doubles nothing when it goes on', () =>
    inFolder(async (folder, serve) => {
      const data = join(folder, 'data')
      const served = await serve(data, { leaseMs: LEASE_MS })
      const kept = await keepWhile(served, async () => {
        served.child.kill('SIGSTOP')
        assert.ok(await eventually(() => leasesEnd(data) < Date.now()))
        served.child.kill('SIGCONT')
      })
      await assertOnce(served, kept)
    }))

  it('commits nothing of what it had in hand when another instance took over meanwhile, and goes on when that one is gone', () =>
    inFolder(async (folder, serve) => {
      const data = join(folder, 'data')
      const served = await serve(data, { leaseMs: LEASE_MS })
      let epoch = 0
      const kept = await keepWhile(served, async () => {
        // Paused in the midst of a commit it has the file to itself: then again, at another moment.
        while (epoch === 0) {
          served.child.kill('SIGSTOP')
          assert.ok(await eventually(() => leasesEnd(data) < Date.now()))
          epoch = takeOver(data)
          served.child.kill('SIGCONT')
        }
      })
      await assertOnce(served, kept)
      assert.ok(await eventually(() => epochOf(data) > epoch), 'it has taken its leases back under a higher epoch')
    }))
})

/** Keeps notes from six sides at once, while `work` goes on and a little longer. Answers what was acknowledged. */
async function keepWhile(served: Served, work: () => Promise<void>): Promise<string[]> {
  const kept: string[] = []
  let over = false
  const sides = Array.from({ length: 6 }, async (_, side) => {
    for (let count = 0, after = 0; after < 5; count++, after += over ? 1 : 0) {
      const text = `side ${side}, note ${count}`
      assert.equal(await served.keep(text), 200)
      kept.push(text)
    }
  })
  assert.ok(await eventually(() => kept.length > 100))
  await work()
  over = true
  await Promise.all(sides)
  return kept
}

async function assertOnce(served: Served, kept: readonly string[]): Promise<void> {
  assert.ok(await eventually(async () => (await served.list('copies')).length >= kept.length))
  for (const place of ['notes', 'copies'] as const) assert.deepEqual((await served.list(place)).sort(), [...kept].sort(), place)
}

/** As another instance would: every lease and cursor under a new epoch, for a moment. The new epoch; 0 if the store is in use. */
function takeOver(data: string): number {
  const database = new DatabaseSync(join(data, 'copies.db'))
  try {
    database.exec('BEGIN IMMEDIATE')
    database.prepare(`UPDATE atoll_leases SET owner = 'another', epoch = epoch + 1, expires_at = ?`).run(Date.now() + LEASE_MS)
    database.exec('UPDATE atoll_cursors SET epoch = epoch + 1; COMMIT')
  } catch (error) {
    if (error instanceof Error && /locked/.test(error.message)) return 0
    throw error
  } finally {
    database.close()
  }
  return epochOf(data)
}

function leasesEnd(data: string): number {
  return ask(data, 'SELECT max(expires_at) AS answer FROM atoll_leases')
}

function epochOf(data: string): number {
  return ask(data, 'SELECT min(epoch) AS answer FROM atoll_leases')
}

function ask(data: string, sql: string): number {
  const database = new DatabaseSync(join(data, 'copies.db'), { readOnly: true })
  try {
    return (database.prepare(sql).get() as { answer: number }).answer // the queries name it
  } finally {
    database.close()
  }
}
