import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { environmentOf } from './plant.ts'
import { inFolder, type Served } from './served.ts'
import { until } from '@atoll/engines/waiting'

/** Long enough that a process keeps it on a machine that is busy with other things. */
const LEASE_MS = 1_500

describe('a process that is paused in the midst of its work, for longer than its leases', () => {
  it('loses and doubles nothing when it goes on', () =>
    inFolder(async (folder, serve) => {
      const data = join(folder, 'data')
      const served = await serve(data, { leaseMs: LEASE_MS })
      const kept = await keepWhile(served, async () => {
        await pause(served, data)
        served.child.kill('SIGCONT')
      })
      await assertOnce(served, kept)
    }))

  it('doubles nothing of what it had in hand when another instance has handled it meanwhile, and goes on when that one is gone', () =>
    inFolder(async (folder, serve) => {
      const data = join(folder, 'data')
      const served = await serve(data, { leaseMs: LEASE_MS })
      await assertOnce(served, await keepWhile(served, () => pauseAndTakeOver(served, data)))
    }))

  it('is caught when it goes on without a look at its leases', () =>
    inFolder(async (folder, serve) => {
      const data = join(folder, 'data')
      const served = await serve(data, { leaseMs: LEASE_MS, env: environmentOf({ changes: ['no fencing'] }) })
      const kept = await keepWhile(served, async () => {
        // What it had in hand when it was paused is what it doubles. Sometimes that is nothing: then again.
        while (!(await hasDoubles(served))) await pauseAndTakeOver(served, data)
      })
      await assert.rejects(assertOnce(served, kept), assert.AssertionError)
    }))
})

async function hasDoubles(served: Served): Promise<boolean> {
  const copies = await served.list('copies')
  return new Set(copies).size < copies.length
}

/** Three times. */
async function pauseAndTakeOver(served: Served, data: string): Promise<void> {
  for (let takeovers = 0; takeovers < 3;) {
    await pause(served, data)
    const epoch = unlessInUse(() => takeOver(data))
    if (epoch === undefined) {
      await goOn(served, data)
      continue
    }
    served.child.kill('SIGCONT')
    takeovers++
    await until(
      'it has taken its leases back under a higher epoch',
      () => (unlessInUse(() => epochOf(data)) ?? 0) > epoch,
    )
  }
}

/**
 * Halts the process until its leases have ended. Halted in the midst of a commit it has the file to itself: then again,
 * at another moment.
 */
async function pause(served: Served, data: string): Promise<void> {
  for (;;) {
    served.child.kill('SIGSTOP')
    let end: number | undefined
    await until('its leases have run out', () => {
      end = unlessInUse(() => leasesEnd(data))
      return end === undefined || end < Date.now()
    })
    if (end !== undefined) return
    await goOn(served, data)
  }
}

/** Lets the process go on until it has renewed its leases: then it is through with what it had begun. */
async function goOn({ child }: Served, data: string): Promise<void> {
  child.kill('SIGCONT')
  await until('it has renewed its leases', () => (unlessInUse(() => leasesEnd(data)) ?? 0) > Date.now())
}

interface Kept {
  readonly acknowledged: string[]
  /** Nobody was told whether they are kept: a process that was paused may find that the time of a request is over. */
  readonly unsure: string[]
}

/** Keeps notes from six sides at once, while `work` goes on and a little longer. */
async function keepWhile(served: Served, work: () => Promise<void>): Promise<Kept> {
  const kept: Kept = { acknowledged: [], unsure: [] }
  let over = false
  const sides = Array.from({ length: 6 }, async (_, side) => {
    for (let count = 0, after = 0; after < 5; count++, after += over ? 1 : 0) {
      const text = `side ${side}, note ${count}`
      const status = await served.keep(text)
      assert.ok(status === 200 || status === 504, `it answered ${status}`)
      kept[status === 200 ? 'acknowledged' : 'unsure'].push(text)
    }
  })
  await until('some are kept', () => kept.acknowledged.length > 100)
  await work()
  over = true
  await Promise.all(sides)
  return kept
}

async function assertOnce(served: Served, { acknowledged, unsure }: Kept): Promise<void> {
  const notes = (await served.list('notes')).sort()
  assert.deepEqual(
    notes,
    [...acknowledged, ...unsure.filter((text) => notes.includes(text))].sort(),
    'each that was acknowledged is kept once, and nothing that nobody asked for',
  )
  await until('all are copied', async () => (await served.list('copies')).length >= notes.length)
  assert.deepEqual((await served.list('copies')).sort(), notes, 'each is copied once')
}

/**
 * As another instance does: takes every lease under a new epoch, for a moment, and handles what is in the log. The new
 * epoch.
 */
function takeOver(data: string): number {
  const database = new DatabaseSync(join(data, 'copies.db'))
  try {
    database.exec(`ATTACH '${join(data, 'log.db')}' AS log; BEGIN IMMEDIATE`)
    database
      .prepare(`UPDATE atoll_leases SET owner = 'another', epoch = epoch + 1, expires_at = ?`)
      .run(Date.now() + LEASE_MS)
    database.exec(
      `UPDATE atoll_cursors SET epoch = epoch + 1; CREATE TEMP TABLE fresh AS ${selectFresh}; ${handleFresh}; COMMIT`,
    )
  } finally {
    database.close()
  }
  return epochOf(data)
}

/** Undefined if a process keeps the file locked, of which SQLite says one or the other. */
function unlessInUse(ask: () => number): number | undefined {
  try {
    return ask()
  } catch (error) {
    if (error instanceof Error && /database is locked|locking protocol/.test(error.message)) return undefined
    throw error
  }
}

const selectFresh = `
  SELECT events.partition, events.number, events."order", json_extract(events.data, '$.text') AS text FROM log.events JOIN atoll_cursors AS cursor USING (source, partition)
  WHERE events.number > cursor.number AND events.number NOT IN (SELECT json_extract(value, '$[0]') FROM json_each(cursor.ahead))`
const handleFresh = `
  INSERT INTO notes (text) SELECT text FROM fresh ORDER BY number;
  INSERT INTO atoll_handled SELECT 'copies', partition, 'note.kept', count(*) FROM fresh WHERE true GROUP BY partition
    ON CONFLICT (subscription, partition, type) DO UPDATE SET count = count + excluded.count;
  UPDATE atoll_cursors SET ahead = '[]', id = NULL, number = last.number, "order" = last."order", "offset" = CAST(last.number AS TEXT)
    FROM (SELECT partition, max(number) AS number, "order" FROM log.events GROUP BY partition) AS last
    WHERE last.partition = atoll_cursors.partition AND last.number > atoll_cursors.number`

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
