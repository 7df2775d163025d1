import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { openDatabase } from '@atoll/sqlite'
import { inSqliteWorld, insertNote, notes, selectNotes, type SqliteWorld } from '../../../test/sqlite-world.ts'
import type { Migrations } from '../../driver.ts'

/** A closed store with enough in it to be damaged. */
async function fill(world: SqliteWorld): Promise<string> {
  const store = await world.open()
  await store.write((tx) =>
    tx.runEach(
      insertNote,
      Array.from({ length: 2_000 }, (_, index) => [`note number ${index}`]),
    ),
  )
  await store.close()
  return world.fileOf('orders')
}

async function assertRefused(world: SqliteWorld, file: string, code: string, migrations?: Migrations): Promise<void> {
  const before = readFileSync(file)
  await assert.rejects(
    world.open(migrations),
    (error: { code: string; message: string }) => error.code === code && error.message.includes(file),
  )
  assert.ok(readFileSync(file).equals(before), 'its bytes are others than before')
  assert.ok(!existsSync(`${file}-wal`) || statSync(`${file}-wal`).size === 0, 'something waits to be written to it')
}

describe('a SQLite store', () => {
  it('is as durable when it is opened again as when it was made', () =>
    inSqliteWorld({}, async (world) => {
      for (let open = 0; open < 3; open++) {
        const store = await world.open()
        assert.equal(store.connection.database.pragma('synchronous', { simple: true }), 2)
        await store.close()
      }
    }))

  const damages: Record<string, (file: string) => void> = {
    'is no database': (file) => writeFileSync(file, 'a shopping list, long enough to have a header\n'.repeat(100)),
    'is cut off': (file) => truncateSync(file, 4096 * 3),
    'has a page of noise': (file) => {
      const bytes = readFileSync(file)
      bytes.fill(0xa5, 4096 * 4, 4096 * 5)
      writeFileSync(file, bytes)
    },
    'belongs to something else': (file) => setMark(file, 'application_id', 7),
  }
  for (const [what, damage] of Object.entries(damages)) {
    it(`that ${what} is refused by name, and left as it is`, () =>
      inSqliteWorld({}, async (world) => {
        const file = await fill(world)
        damage(file)
        await assertRefused(world, file, 'STORE_CORRUPT')
      }))
  }

  it('from a newer version is refused by name, and left as it is', () =>
    inSqliteWorld({}, async (world) => {
      const file = await fill(world)
      setMark(file, 'user_version', 99)
      await assertRefused(world, file, 'STORE_NEWER')
    }))

  it('whose migrations are not these is refused by name, and left as it is', () =>
    inSqliteWorld({}, async (world) => {
      const file = await fill(world)
      await assertRefused(world, file, 'STORE_NEWER', {})
      await assertRefused(world, file, 'MIGRATION_CHANGED', { '0001-notes': 'CREATE TABLE notes (text TEXT)' })
    }))

  it('is not migrated by SQL that fails, and the refusal says what to do', () =>
    inSqliteWorld({}, async (world) => {
      await assert.rejects(
        world.open({ ...notes, '0002-half': 'CREATE TABLE half (a TEXT); CREATE TALBE other (a TEXT)' }),
        { code: 'MIGRATION_FAILED', message: /0002-half .* was undone: .*TALBE.*\. Correct its SQL, and start again$/ },
      )
      const store = await world.open({ ...notes, '0002-half': 'CREATE TABLE half (a TEXT)' })
      assert.deepEqual(await store.reader.all({ sql: 'SELECT a FROM half' }), [])
    }))

  it('is not half migrated by a migration that ends its transaction', () =>
    inSqliteWorld({}, async (world) => {
      await assert.rejects(world.open({ ...notes, '0002-half': 'CREATE TABLE half (a TEXT); ROLLBACK' }), {
        code: 'MIGRATION_FAILED',
        message: /0002-half/,
      })
      const store = await world.open()
      assert.deepEqual(await store.reader.all(selectNotes), [])
    }))

  it('says in a work what it failed with itself, and nothing of what the work did wrong', () =>
    inSqliteWorld({}, async (world) => {
      const store = await world.open()
      await store.write(async (tx) => {
        await assert.rejects(tx.savepoint(() => tx.run({ sql: 'INSERT INTO nothing VALUES (1)' })))
        assert.equal(tx.storeFailure, undefined)
      })
      const { database } = store.connection
      database.pragma(`max_page_count = ${String(database.pragma('page_count', { simple: true }))}`)
      let said: unknown
      const full = store.write(async (tx) => {
        try {
          for (let nth = 0; nth < 100; nth++) await tx.run(insertNote, ['x'.repeat(1_000)])
        } catch {
          said = tx.storeFailure?.code // whoever catches it may throw something else
          throw new Error('it did not work')
        }
      })
      await assert.rejects(full)
      assert.equal(said, 'STORE_FULL')
    }))

  it('is made in a folder that is not there yet', () =>
    inSqliteWorld({}, async (world) => {
      rmSync(world.folder, { recursive: true })
      await world.open()
      assert.ok(existsSync(world.fileOf('orders')))
    }))

  it('has a name that is a file name everywhere', () =>
    inSqliteWorld({}, async ({ driver }) => {
      for (const name of ['', 'Orders', '../orders', 'or ders', 'orders/a'])
        await assert.rejects(driver.open(name, notes), { code: 'DEFINITION_INVALID' })
    }))
})

function setMark(file: string, mark: 'application_id' | 'user_version', value: number): void {
  const applicationId = readFileSync(file).readUInt32BE(68)
  const database = openDatabase(file, { applicationId, formatVersion: 1 })
  database.pragma(`${mark} = ${value}`)
  database.close()
}
