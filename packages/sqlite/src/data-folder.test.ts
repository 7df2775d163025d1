import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openDataFolder } from './data-folder.ts'

const holder = `
  import { openDataFolder } from ${JSON.stringify(join(import.meta.dirname, 'data-folder.ts'))}
  openDataFolder(process.argv[1])
  gc()
  await new Promise(setImmediate)
  gc()
  console.log('held')
  setInterval(() => {}, 1000)
`

function inFolder(work: (path: string) => Promise<void> | void): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), 'atoll-folder-'))
  return Promise.resolve(work(path)).finally(() => rmSync(path, { recursive: true, force: true }))
}

describe('a data folder', () => {
  it('is refused, naming the process, while another holds it, and free as soon as that is killed', () =>
    inFolder(async (path) => {
      const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', holder, path], { stdio: ['ignore', 'pipe', 'inherit'] })
      const exit = once(child, 'exit')
      try {
        await once(child.stdout, 'data')
        assert.throws(() => openDataFolder(path), { code: 'DATA_IN_USE', message: new RegExp(`process ${child.pid};`) })
      } finally {
        child.kill('SIGKILL')
        await exit
      }
      openDataFolder(path).close()
      openDataFolder(path).close()
    }))

  it('is made if it is not there, has one holder within a process too, and can be closed twice', () =>
    inFolder((path) => {
      const folder = openDataFolder(join(path, 'new', 'data'))
      assert.throws(() => openDataFolder(folder.path), { code: 'DATA_IN_USE', message: new RegExp(`process ${process.pid};`) })
      folder.close()
      folder.close()
      openDataFolder(folder.path).close()
    }))

  it('that cannot be one is not said to be in use', () =>
    inFolder((path) => {
      writeFileSync(join(path, 'data'), 'a file')
      assert.throws(() => openDataFolder(join(path, 'data')), { code: 'INTERNAL' })
    }))
})
