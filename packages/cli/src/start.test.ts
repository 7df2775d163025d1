import assert from 'node:assert/strict'
import fs, { existsSync, fstatSync, mkdtempSync, rmSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, mock } from 'node:test'
import fixture from '../test/fixture-system.ts'
import { start } from './start.ts'

describe('the mark of a first start that has not ended', () => {
  it('is on disk before anything else is, and gone from it before anybody is answered, so that no loss of power brings data back or deletes them', async () => {
    const data = mkdtempSync(join(tmpdir(), 'atoll-start-'))
    const mark = join(data, 'seeding')
    const synced: string[] = []
    const { fsyncSync } = fs
    mock.method(fs, 'fsyncSync', (file: number) => {
      // Which files there are is a matter of their folder; what is in the small ones, of themselves.
      if (fstatSync(file).isDirectory())
        synced.push(
          `${existsSync(mark) ? 'marked' : 'unmarked'}, ${existsSync(join(data, 'log.db')) ? 'with data' : 'empty'}`,
        )
      fsyncSync(file)
    })
    syncBuiltinESMExports()
    try {
      await (await start(fixture, { data })).stop()
      assert.deepEqual(synced.splice(0), ['marked, empty', 'marked, empty', 'unmarked, with data'])
      await (await start(fixture, { data, fresh: true })).stop()
      assert.deepEqual(synced, [
        'marked, with data',
        'marked, empty',
        'unmarked, empty',
        'marked, empty',
        'marked, empty',
        'unmarked, with data',
      ])
    } finally {
      mock.restoreAll()
      syncBuiltinESMExports()
      rmSync(data, { recursive: true, force: true })
    }
  })
})
