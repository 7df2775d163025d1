import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openDatabase } from '@atoll/sqlite'
import { withFolder } from '../../../test/embedded/world.ts'
import { assertRefused } from '../../conformance/records.ts'
import { applicationId, formatVersion, tables } from './format.ts'
import { ThreadWriter } from './thread.ts'

/** Runs `body` with a writer whose file is in place. */
function withWriter(body: (writer: ThreadWriter, file: string) => Promise<void>): Promise<void> {
  return withFolder(async (folder) => {
    const file = join(folder, 'log.db')
    const database = openDatabase(file, { applicationId, formatVersion })
    database.exec(tables)
    const writer = await ThreadWriter.start(file)
    try {
      await body(writer, file)
    } finally {
      await writer.close()
      database.close()
    }
  })
}

const values = (place: number): (string | number)[] => [
  place,
  '1',
  `event-${place}`,
  'order.placed',
  1,
  'a',
  0,
  '{}',
  '',
  '',
]

describe('the thread that writes a log', () => {
  it('says what is wrong in the words of SQLite, and goes on', () =>
    withWriter(async (writer) => {
      await writer.write({ streams: [[1, 'orders', 0]], values: values(1) })
      const error = await assertRefused('INTERNAL', writer.write({ streams: [], values: [...values(2), ...values(1)] }))
      assert.match(error.reason, /UNIQUE constraint failed/)
      await writer.write({ streams: [], values: values(2) }) // nothing of the write that failed is there
    }))

  it('refuses to start on a file that it must not write', () =>
    withFolder(async (folder) => {
      const file = join(folder, 'log.db')
      openDatabase(file, { applicationId, formatVersion: formatVersion + 1 }).close()
      await assertRefused('STORE_NEWER', ThreadWriter.start(file))
    }))

  it('refuses what comes after it has ended, and can be closed again', () =>
    withWriter(async (writer) => {
      await writer.close()
      await assertRefused('UNAVAILABLE', writer.write({ streams: [], values: values(1) }))
    }))

  it('does not keep a process alive that has nothing more to write', () =>
    withFolder(async (folder) => {
      const program = `
        import { createNodeHost } from '@atoll/host/node'
        import { createEmbeddedLog } from '@atoll/log/embedded'
        import { createRecords } from '${join(import.meta.dirname, '../../conformance/records.ts')}'
        const log = await createEmbeddedLog({ file: '${join(folder, 'log.db')}', host: createNodeHost() })
        await log.append('orders', createRecords('orders', 0, 1, 3))
        console.log('durable')`
      const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
        cwd: import.meta.dirname,
        encoding: 'utf8',
        timeout: 5 * 60_000,
      })
      assert.equal(output, 'durable\n')
    }))
})
