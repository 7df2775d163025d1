import assert from 'node:assert/strict'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { createNodeHost } from '@atoll/host/node'
import { openDatabase } from '@atoll/sqlite'
import { withLog, withFolder } from '../../../test/embedded/world.ts'
import {
  assertNumbers,
  assertRefused,
  createRecord,
  createRecords,
  numbersTo,
  readAll,
  readNumbers,
} from '../../conformance/records.ts'
import { createEmbeddedLog } from '../../embedded.ts'
import { applicationId, formatVersion } from './format.ts'

const host = createNodeHost()

describe('createEmbeddedLog', () => {
  const damages: Record<string, (file: string) => void> = {
    'is no database': (file) => writeFileSync(file, 'a shopping list, long enough to have a header\n'.repeat(100)),
    'is cut off': (file) => truncateSync(file, 4096 * 3),
    'has a page of noise': (file) => {
      const bytes = readFileSync(file)
      bytes.fill(0xa5, 4096 * 4, 4096 * 5)
      writeFileSync(file, bytes)
    },
    'belongs to something else': (file) =>
      openDatabase(file.replace('log.db', 'other.db'), { applicationId: 7, formatVersion: 1 }).close(),
  }
  for (const [what, damage] of Object.entries(damages)) {
    it(`refuses a file that ${what}, names it, and leaves every byte as it was`, () =>
      withFolder(async (folder) => {
        const log = await createEmbeddedLog({ file: `${folder}/log.db`, host })
        await log.append('orders', createRecords('orders', 0, 1, 200))
        await log.close()
        damage(`${folder}/log.db`)
        const file = what === 'belongs to something else' ? `${folder}/other.db` : `${folder}/log.db`
        const before = readFileSync(file)
        const error = await assertRefused('STORE_CORRUPT', createEmbeddedLog({ file, host }))
        assert.ok(error.message.includes(file), error.message)
        assert.ok(readFileSync(file).equals(before))
      }))
  }

  it('refuses a file from a newer version, names it, and leaves every byte as it was', () =>
    withFolder(async (folder) => {
      const file = `${folder}/log.db`
      await (await createEmbeddedLog({ file, host })).close()
      openDatabase(file, { applicationId, formatVersion: formatVersion + 1 }).close()
      const before = readFileSync(file)
      const error = await assertRefused('STORE_NEWER', createEmbeddedLog({ file, host }))
      assert.ok(error.message.includes(file), error.message)
      assert.ok(readFileSync(file).equals(before))
    }))
})

describe('an embedded log', () => {
  it('makes everything durable that is appended in one turn by one commit', () =>
    withLog({}, async ({ log, commitCount }) => {
      const sources = Array.from({ length: 10 }, (_, index) => `service-${index}`)
      const before = commitCount()
      await Promise.all(sources.map((source) => log.append(source, createRecords(source, 0, 1, 5))))
      assert.equal(commitCount(), before + 1)
      await Promise.all(sources.map((source) => log.append(source, createRecords(source, 0, 6, 6))))
      assert.equal(commitCount(), before + 2)
    }))

  it('takes appends of one source that do not wait for each other, in the order of the calls', () =>
    withLog({}, async ({ log, commitCount }) => {
      const before = commitCount()
      await Promise.all(numbersTo(20).map((number) => log.append('orders', [createRecord('orders', 0, number)])))
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(20))
      assert.equal(commitCount(), before + 1)
    }))

  it('does not write at all when there is nothing new', () =>
    withLog({}, async ({ log, commitCount }) => {
      await log.append('orders', createRecords('orders', 0, 1, 5))
      const before = commitCount()
      await log.append('orders', createRecords('orders', 0, 1, 5))
      assert.equal(commitCount(), before)
    }))

  it('shows nothing of an append before it is durable, whoever reads', () =>
    withLog({}, async ({ log }) => {
      const under = log.append('orders', createRecords('orders', 0, 1, 5))
      assert.deepEqual(await log.read('orders', 0, null, 10), [])
      assert.equal(await log.tail('orders', 0), null)
      await under
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(5))
    }))

  it('rejects all that shared a commit for which the disk had no room, with STORE_FULL, and takes it once there is room', () =>
    withLog({}, async ({ log, file, stopWrites }) => {
      await log.append('orders', [createRecord('orders', 0, 1)])
      const allowWrites = stopWrites()
      const appends = () => ['orders', 'payments'].map((source) => log.append(source, createRecords(source, 1, 1, 100)))
      await Promise.all(appends().map((append) => assertRefused('STORE_FULL', append)))
      assert.deepEqual(await readAll(log, 'orders', 1), [])
      allowWrites()
      await Promise.all(appends())
      await log.close()
      const again = await createEmbeddedLog({ file, host })
      assertNumbers(await readNumbers(again, 'orders', 1), numbersTo(100))
      assertNumbers(await readNumbers(again, 'payments', 1), numbersTo(100))
      await again.close()
    }))

  it('rejects alone what SQLite cannot take, and commits what came with it', () =>
    withLog({}, async ({ log }) => {
      const [good, odd, late] = [
        log.append('orders', createRecords('orders', 0, 1, 3)),
        log.append('odd', [createRecord('odd', 0, 1, { at: 1.5 })]),
        log.append('payments', createRecords('payments', 0, 1, 3)),
      ]
      await Promise.all([good, assertRefused('INTERNAL', odd), late])
      assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(3))
      assertNumbers(await readNumbers(log, 'odd', 0), [])
      assertNumbers(await readNumbers(log, 'payments', 0), numbersTo(3))
    }))

  it('refuses with OVERLOADED what is over queuedRecordsMax or queuedBytesMax, and takes it when the queue is empty again', () =>
    withLog({ queuedRecordsMax: 10, queuedBytesMax: 1000 }, async ({ log }) => {
      const first = log.append('orders', createRecords('orders', 0, 1, 8))
      await assertRefused('OVERLOADED', log.append('payments', createRecords('payments', 0, 1, 3)))
      await assertRefused(
        'OVERLOADED',
        log.append('payments', [createRecord('payments', 0, 1, { data: `"${'x'.repeat(999)}"` })]),
      )
      await first
      await Promise.all([
        log.append('payments', createRecords('payments', 0, 1, 3)),
        log.append('orders', createRecords('orders', 0, 9, 15)),
      ])
      await log.append('payments', [createRecord('payments', 0, 4, { data: `"${'x'.repeat(2000)}"` })])
      assertNumbers(await readNumbers(log, 'payments', 0), numbersTo(4))
    }))

  it('refuses an append of more than appendRecordsMax records', () =>
    withLog({ appendRecordsMax: 10 }, async ({ log }) => {
      const error = await assertRefused('BODY_TOO_LARGE', log.append('orders', createRecords('orders', 0, 1, 11)))
      assert.match(error.message, /appendRecordsMax/)
    }))

  for (const recentBytesMax of [0, 2 ** 20]) {
    it(`bounds what one read answers, and gives all of it page by page, with ${recentBytesMax} bytes in memory`, () =>
      withLog({ readRecordsMax: 200, readBytesMax: 5000, recentBytesMax }, async ({ log }) => {
        await log.append('orders', createRecords('orders', 0, 1, 300))
        await log.append(
          'orders',
          numbersTo(10).map((number) => createRecord('orders', 1, number, { data: `"${'x'.repeat(4000)}"` })),
        )
        await log.append('orders', [createRecord('orders', 1, 11, { data: `"${'x'.repeat(9000)}"` })])
        assert.ok((await log.read('orders', 0, null, 1000)).length <= 200)
        assert.equal((await log.read('orders', 1, null, 1000)).length, 2)
        assertNumbers(await readNumbers(log, 'orders', 0), numbersTo(300))
        assertNumbers(await readNumbers(log, 'orders', 1), numbersTo(11))
      }))
  }

  it('refuses an offset that it did not give', () =>
    withLog({}, async ({ log }) => {
      await log.append('orders', [createRecord('orders', 0, 1)])
      await assertRefused('INVALID', log.read('orders', 0, 'yesterday', 10))
    }))

  it('keeps its events readable for people with a SQLite shell', () =>
    withLog({}, async ({ log, database }) => {
      await log.append('orders', createRecords('orders', 0, 1, 2))
      await log.append('payments', createRecords('payments', 3, 1, 1))
      const rows = database.prepare('SELECT source, partition, number, type, data FROM events').raw().all()
      assert.deepEqual(rows, [
        ['orders', 0, 1, 'orders.happened', createRecord('orders', 0, 1).data],
        ['orders', 0, 2, 'orders.happened', createRecord('orders', 0, 2).data],
        ['payments', 3, 1, 'payments.happened', createRecord('payments', 3, 1).data],
      ])
    }))
})
