import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { AtollError } from '@atoll/host'
import BetterSqlite3 from 'better-sqlite3'
import { openDatabase } from './database.ts'
import { toAtollError } from './errors.ts'

const options = { applicationId: 0x41744c30, formatVersion: 1 }

function inFolder(work: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-sqlite-'))
  try {
    work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function fill(file: string): void {
  const database = openDatabase(file, options)
  database.exec('CREATE TABLE things (name TEXT)')
  const insert = database.prepare('INSERT INTO things VALUES (?)')
  for (let index = 0; index < 2_000; index++) insert.run(`thing number ${index}`)
  database.close()
}

describe('a database file', () => {
  it('is as durable when it is opened again as when it was made', () =>
    inFolder((folder) => {
      const file = join(folder, 'a.db')
      for (let open = 0; open < 3; open++) {
        const database = openDatabase(file, options)
        assert.equal(database.pragma('synchronous', { simple: true }), 2)
        assert.equal(database.pragma('journal_mode', { simple: true }), 'wal')
        database.close()
      }
    }))

  it('is refused by name, and left as it is, when it is truncated', () =>
    inFolder((folder) => {
      const file = join(folder, 'a.db')
      fill(file)
      truncateSync(file, 20_000)
      assertRefused(file, 'STORE_CORRUPT')
    }))

  it('is refused by name, and left as it is, when it ends in the midst of a page, of which SQLite would make up the rest', () =>
    inFolder((folder) => {
      const file = join(folder, 'a.db')
      fill(file)
      const { length } = readFileSync(file)
      for (const missing of [1, 1_000, 4_095]) {
        truncateSync(file, length - missing)
        assertRefused(file, 'STORE_CORRUPT')
      }
    }))

  it('opens when it ends in the midst of a page and its write-ahead log has that page, as a checkpoint leaves it that was cut short', () =>
    inFolder((folder) => {
      const file = join(folder, 'a.db')
      const database = openDatabase(file, options)
      database.exec('CREATE TABLE things (name TEXT)')
      const copy = join(folder, 'b.db')
      copyFileSync(`${file}-wal`, `${copy}-wal`)
      database.close()
      writeFileSync(copy, readFileSync(file).subarray(0, -1_000))
      const again = openDatabase(copy, options)
      assert.deepEqual(again.prepare('SELECT * FROM things').all(), [])
      again.close()
      assert.equal(statSync(copy).size % 4_096, 0)
    }))

  it('is refused by name, and left as it is, when bits have flipped', () =>
    inFolder((folder) => {
      const file = join(folder, 'a.db')
      fill(file)
      const bytes = readFileSync(file)
      for (let at = 8_192; at < 8_292; at++) bytes[at] = bytes[at]! ^ 0xff
      writeFileSync(file, bytes)
      assertRefused(file, 'STORE_CORRUPT')
    }))

  it('is refused by name, and left as it is, when it is no database at all', () =>
    inFolder((folder) => {
      const file = join(folder, 'a.db')
      writeFileSync(file, 'this is not a database, it is a letter to a friend'.repeat(100))
      assertRefused(file, 'STORE_CORRUPT')
    }))

  it('is refused when it belongs to something else', () =>
    inFolder((folder) => {
      const file = join(folder, 'a.db')
      const database = openDatabase(file, { ...options, applicationId: 7 })
      database.exec('CREATE TABLE t (x)')
      database.close()
      assertRefused(file, 'STORE_CORRUPT')
    }))

  it('is refused when it is from a newer version', () =>
    inFolder((folder) => {
      const file = join(folder, 'a.db')
      openDatabase(file, { ...options, formatVersion: 9 }).close()
      assertRefused(file, 'STORE_NEWER')
    }))

  it('is refused by name, with its write-ahead log left as it is, when a process of a newer version was killed over it', () =>
    inFolder((folder) => {
      const file = join(folder, 'a.db')
      const script = `
        import { AtollError } from '@atoll/host'
import BetterSqlite3 from 'better-sqlite3'
import { openDatabase } from ${JSON.stringify(join(import.meta.dirname, 'database.ts'))}
        openDatabase(process.argv[1], { applicationId: ${options.applicationId}, formatVersion: 2 }).exec('CREATE TABLE t (x)')
        process.kill(process.pid, 'SIGKILL')`
      spawnSync(process.execPath, ['--input-type=module', '-e', script, file])
      const before = readFileSync(`${file}-wal`)
      assert.ok(before.length > 0)
      assertRefused(file, 'STORE_NEWER')
      assert.deepEqual(readFileSync(`${file}-wal`), before)
    }))

  it('is refused by whoever looks into it first, before anything is written', () =>
    inFolder((folder) => {
      const file = join(folder, 'a.db')
      fill(file)
      const before = readFileSync(file)
      const inspect = (): never => {
        throw new AtollError('MIGRATION_CHANGED', 'this is not what it was')
      }
      assert.throws(() => openDatabase(file, { ...options, inspect }), { code: 'MIGRATION_CHANGED' })
      assert.deepEqual(readFileSync(file), before)
    }))

  it('is taken up when the process that created it was killed before it could say what it is', () =>
    inFolder((folder) => {
      const file = join(folder, 'a.db')
      new BetterSqlite3(file).pragma('journal_mode = WAL')
      const database = openDatabase(file, options)
      assert.equal(database.pragma('application_id', { simple: true }), options.applicationId)
      database.close()
    }))

  it('takes on the format of the version that opens it, so that an older one refuses it from then on', () =>
    inFolder((folder) => {
      const file = join(folder, 'a.db')
      fill(file)
      openDatabase(file, { ...options, formatVersion: 2 }).close()
      assertRefused(file, 'STORE_NEWER')
    }))

  it('is written once when it is made, and by opening it not again', () =>
    inFolder((folder) => {
      const file = join(folder, 'a.db')
      fill(file)
      const before = readFileSync(file)
      openDatabase(file, options).close()
      assert.deepEqual(readFileSync(file), before)
    }))

  it('says that the disk is full as STORE_FULL, and can be written when there is room', () =>
    inFolder((folder) => {
      const file = join(folder, 'a.db')
      fill(file)
      const database = openDatabase(file, options)
      const pages = Number(database.pragma('page_count', { simple: true }))
      database.pragma(`max_page_count = ${pages}`)
      const insert = database.prepare('INSERT INTO things VALUES (?)')
      let refused: unknown
      try {
        for (let index = 0; index < 1_000; index++) insert.run('x'.repeat(1_000))
      } catch (error) {
        refused = toAtollError(error, file)
      }
      assert.equal((refused as { code: string }).code, 'STORE_FULL')
      database.pragma(`max_page_count = ${pages + 1_000}`)
      insert.run('there is room')
      database.close()
    }))
})

function assertRefused(file: string, code: string): void {
  const before = readFileSync(file)
  assert.throws(
    () => openDatabase(file, options),
    (error: { code: string; message: string }) => error.code === code && error.message.includes(file),
  )
  assert.deepEqual(readFileSync(file), before)
}
