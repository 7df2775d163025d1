import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { start } from '@atoll/cli'
import { notebook } from './notebook.ts'
import { inFolder, NotReady, type Served } from './served.ts'
import { until } from '@atoll/engines/waiting'

const PAGE = 4_096

/** Each damages a file as disks and people do. */
const damages: readonly (readonly [what: string, damage: (bytes: Buffer) => Buffer])[] = [
  ['its last page cut off', (bytes) => bytes.subarray(0, bytes.length - PAGE)],
  ['half of it cut off', (bytes) => bytes.subarray(0, Math.floor(bytes.length / 2 / PAGE) * PAGE)],
  ['cut off in the midst of a page', (bytes) => bytes.subarray(0, bytes.length - 1_000)],
  ['a bit wrong in its first bytes', (bytes) => flip(bytes, 3)],
  ['a bit wrong in its page size', (bytes) => flip(bytes, 16)],
  ['a bit wrong in the kind of a page', (bytes) => flip(bytes, PAGE * 2)],
  ["a bit wrong in the count of a page's cells", (bytes) => flip(bytes, PAGE * 2 + 4)],
  ['a bit wrong in the place of a cell', (bytes) => flip(bytes, PAGE * 2 + 8)],
  ['a page of zeroes', (bytes) => Buffer.from(bytes).fill(0, PAGE * 2, PAGE * 3)],
  ['a page of rubbish', (bytes) => Buffer.from(bytes).fill(0xa5, PAGE * 3, PAGE * 4)],
]

describe('a damaged file', () => {
  for (const name of ['copies.db', 'log.db']) {
    it(`keeps the system from starting, with its name and what to do, and is left as it is: ${name}`, () =>
      inFolder(async (folder, serve) => {
        const data = join(folder, 'data')
        const file = join(data, name)
        await fill(await serve(data))
        const intact = readFileSync(file)
        for (const [what, damage] of damages) {
          writeFileSync(file, damage(intact))
          const names = readdirSync(data)
          const before = digestsOf(data, names)
          await assert.rejects(start(notebook, { data }), refusalOf(file), what)
          assert.deepEqual(digestsOf(data, names), before, what)
        }
        const { code, err } = await endOf(serve(data))
        assert.notEqual(code, 0)
        assert.match(err, refusalOf(file))
        writeFileSync(file, intact)
        assert.equal((await (await serve(data)).list('copies')).length, NOTES)
      }))
  }
})

describe('a write-ahead log that ends in the midst of a frame', () => {
  it('is what a lost power leaves, and no damage: the system starts', () =>
    inFolder(async (folder, serve) => {
      const data = join(folder, 'data')
      const served = await serve(data)
      await served.keep('a note')
      served.child.kill('SIGKILL')
      await served.ended
      const wal = join(data, 'notes.db-wal')
      truncateSync(wal, readFileSync(wal).length - 1_000)
      assert.ok((await (await serve(data)).list('notes')).length <= 1)
    }))
})

const NOTES = 60

async function fill({ keep, child, ended, list }: Served): Promise<void> {
  const statuses = await Promise.all(
    Array.from({ length: NOTES }, (_, count) => keep(`note ${count} ${'x'.repeat(1_000)}`)),
  )
  assert.ok(statuses.every((status) => status === 200))
  await until('all are copied', async () => (await list('copies')).length === NOTES)
  child.kill('SIGTERM')
  await ended
}

async function endOf(starting: Promise<Served>): Promise<NotReady['end']> {
  try {
    await starting
  } catch (error) {
    if (error instanceof NotReady) return error.end
    throw error
  }
  assert.fail('it started')
}

function refusalOf(file: string): RegExp {
  return new RegExp(`STORE_CORRUPT: ${file} is damaged [^]*restore the folder from a backup`)
}

function flip(bytes: Buffer, at: number): Buffer {
  const flipped = Buffer.from(bytes)
  flipped[at] = flipped[at]! ^ 0x40
  return flipped
}

/** The lock is left out: each process takes it. */
function digestsOf(data: string, names: readonly string[]): string[] {
  return names
    .filter((name) => !name.startsWith('lock'))
    .map(
      (name) =>
        `${name} ${createHash('sha256')
          .update(readFileSync(join(data, name)))
          .digest('hex')}`,
    )
}
