import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createNodeHost } from '@atoll/host/node'
import type { LogRecord } from '@atoll/log/driver'
import { createEmbeddedLog } from '@atoll/log/embedded'
import { createSqliteStores } from '@atoll/store/sqlite'

// When the power goes, a write-ahead log keeps what was synced, and of the rest any part: it may end anywhere, or hold
// rubbish. Real files are copied while they are open, and cut and torn at every frame and between.

const host = createNodeHost()
const COMMITS = 8
const HEADER = 32
const FRAME = 24 + 4096

/**
 * A file and its write-ahead log as they lay on disk, and how long the latter was when each commit was acknowledged.
 */
interface Crashed {
  readonly database: Buffer
  readonly wal: Buffer
  readonly acknowledged: readonly number[]
}

describe('a store whose power was cut', () => {
  it('has every transaction that was acknowledged by then, and no part of a later one, wherever its write-ahead log ends', () =>
    inFolder(async (folder) => {
      const crashed = await crashStore(folder)
      for (const wal of cuts(crashed.wal))
        assert.equal(
          await commitsOfStore(folder, crashed, wal),
          acknowledgedBy(crashed, wal.length),
          `cut at ${wal.length}`,
        )
    }))

  it('has the same when the end of its write-ahead log is rubbish', () =>
    inFolder(async (folder) => {
      const crashed = await crashStore(folder)
      for (const { wal, intact } of tears(crashed.wal))
        assert.equal(
          await commitsOfStore(folder, crashed, wal),
          acknowledgedBy(crashed, intact),
          `torn after ${intact}`,
        )
    }))
})

describe('a log whose power was cut', () => {
  it('has every append that was acknowledged by then, and no part of a later one, wherever its write-ahead log ends', () =>
    inFolder(async (folder) => {
      const crashed = await crashLog(folder)
      for (const wal of cuts(crashed.wal))
        assert.equal(
          await appendsOfLog(folder, crashed, wal),
          acknowledgedBy(crashed, wal.length),
          `cut at ${wal.length}`,
        )
    }))

  it('has the same when the end of its write-ahead log is rubbish', () =>
    inFolder(async (folder) => {
      const crashed = await crashLog(folder)
      for (const { wal, intact } of tears(crashed.wal))
        assert.equal(await appendsOfLog(folder, crashed, wal), acknowledgedBy(crashed, intact), `torn after ${intact}`)
    }))
})

/** Transactions of several rows over several pages. The table, too, is only in the write-ahead log. */
async function crashStore(folder: string): Promise<Crashed> {
  const stores = createSqliteStores({ folder, host })
  const store = await stores.open('shop', migrations)
  const acknowledged: number[] = []
  const file = join(folder, 'shop.db')
  for (let commit = 1; commit <= COMMITS; commit++) {
    await store.write(async (tx) => {
      for (let part = 0; part < PARTS; part++)
        await tx.run({ sql: 'INSERT INTO parts (number, text) VALUES (?, ?)' }, [commit, 'x'.repeat(1_500)])
    })
    acknowledged.push(statSync(`${file}-wal`).size)
  }
  const crashed = { database: readFileSync(file), wal: readFileSync(`${file}-wal`), acknowledged }
  await stores.close()
  return crashed
}

/** How many transactions a store opens with; all of each, and those of the beginning. */
async function commitsOfStore(folder: string, { database }: Crashed, wal: Buffer): Promise<number> {
  const place = lay(folder, 'shop.db', database, wal)
  const stores = createSqliteStores({ folder: place, host })
  try {
    const store = await stores.open('shop', migrations)
    const rows = await store.reader.all<{ number: number; count: number }>({
      sql: 'SELECT number, count(*) AS count FROM parts GROUP BY number ORDER BY number',
    })
    assert.deepEqual(
      rows,
      rows.map((_, index) => ({ number: index + 1, count: PARTS })),
      'half a transaction, or one that is missing before another',
    )
    await store.write((tx) => tx.run({ sql: 'INSERT INTO parts (number, text) VALUES (0, ?)' }, ['it can be written']))
    return rows.length
  } finally {
    await stores.close()
  }
}

async function crashLog(folder: string): Promise<Crashed> {
  const file = join(folder, 'log.db')
  const log = await createEmbeddedLog({ file, host })
  const acknowledged: number[] = []
  for (let commit = 0; commit < COMMITS; commit++) {
    await log.append(
      'shop',
      Array.from({ length: PARTS }, (_, part) => recordOf(commit * PARTS + part + 1)),
    )
    acknowledged.push(statSync(`${file}-wal`).size)
  }
  const crashed = { database: readFileSync(file), wal: readFileSync(`${file}-wal`), acknowledged }
  await log.close()
  return crashed
}

async function appendsOfLog(folder: string, { database }: Crashed, wal: Buffer): Promise<number> {
  const log = await createEmbeddedLog({
    file: join(lay(folder, 'log.db', database, wal), 'log.db'),
    host,
    thread: false,
  })
  try {
    const records = await log.read('shop', 0, null, COMMITS * PARTS)
    assert.deepEqual(
      records.map(({ number, id }) => [number, id]),
      records.map((_, index) => [index + 1, `event ${index + 1}`]),
    )
    assert.equal(records.length % PARTS, 0, 'half an append')
    await log.append('shop', [recordOf(records.length + 1)])
    return records.length / PARTS
  } finally {
    await log.close()
  }
}

/** Before each frame, after a part of its header, after all of it, within its page, and before its last byte. */
function cuts(wal: Buffer): Buffer[] {
  const places = [0, 1, HEADER - 1]
  for (let frame = HEADER; frame < wal.length; frame += FRAME)
    places.push(frame, frame + 1, frame + 23, frame + 24, frame + 2_000, frame + FRAME - 1)
  return [...places, wal.length].map((place) => wal.subarray(0, place))
}

/**
 * As long as it was; from somewhere on zeroes, or with one bit that is wrong. `intact`: how much of it is as it was
 * written.
 */
function tears(wal: Buffer): { wal: Buffer; intact: number }[] {
  const torn: { wal: Buffer; intact: number }[] = []
  for (let frame = HEADER; frame < wal.length; frame += FRAME) {
    torn.push({ wal: Buffer.from(wal).fill(0, frame), intact: frame })
    torn.push({ wal: Buffer.from(wal).fill(0, frame + 600), intact: frame })
    for (const at of [frame + 3, frame + 17, frame + 24 + 1_000]) {
      const flipped = Buffer.from(wal)
      flipped[at] = flipped[at]! ^ 0x10
      torn.push({ wal: flipped, intact: frame })
    }
  }
  return torn
}

/**
 * A commit's frames are the file's when it is acknowledged, so as many commits are whole as had been acknowledged at
 * that length.
 */
function acknowledgedBy({ acknowledged }: Crashed, length: number): number {
  return acknowledged.filter((size) => size <= length).length
}

function lay(folder: string, name: string, database: Buffer, wal: Buffer): string {
  const place = join(folder, 'again')
  rmSync(place, { recursive: true, force: true })
  mkdirSync(place)
  writeFileSync(join(place, name), database)
  writeFileSync(join(place, `${name}-wal`), wal)
  return place
}

function recordOf(number: number): LogRecord {
  return {
    partition: 0,
    number,
    order: String(number),
    id: `event ${number}`,
    type: 'part.made',
    version: 1,
    key: 'k',
    at: 0,
    data: JSON.stringify('x'.repeat(1_500)),
    trace: '',
    cause: '',
  }
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-power-'))
  try {
    await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const PARTS = 4
const migrations = {
  '0001-parts': 'CREATE TABLE parts (seq INTEGER PRIMARY KEY, number INTEGER NOT NULL, text TEXT NOT NULL) STRICT',
}
