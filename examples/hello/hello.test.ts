import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'

describe('examples/hello', () => {
  it('prints what it promises', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'main.ts')])
    assert.equal(stdout, await readFile(join(import.meta.dirname, 'expected.txt'), 'utf8'))
  })
})
