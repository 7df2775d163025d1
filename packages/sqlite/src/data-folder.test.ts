import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openDataFolder } from './data-folder.ts'

const holder = `
  import { openDataFolder } from ${JSON.stringify(join(import.meta.dirname, 'data-folder.ts'))}
  openDataFolder(process.argv[1])
  console.log('held')
  setInterval(() => {}, 1000)
`

describe('a data folder', () => {
  it('is refused, naming the process, while another holds it, and free as soon as that is killed', async () => {
    const path = mkdtempSync(join(tmpdir(), 'atoll-folder-'))
    try {
      const child = spawn(process.execPath, ['--input-type=module', '-e', holder, path], { stdio: ['ignore', 'pipe', 'inherit'] })
      await once(child.stdout, 'data')
      assert.throws(() => openDataFolder(path), { code: 'DATA_IN_USE', message: new RegExp(`process ${child.pid};`) })
      child.kill('SIGKILL')
      await once(child, 'exit')
      openDataFolder(path).close()
      openDataFolder(path).close()
    } finally {
      rmSync(path, { recursive: true, force: true })
    }
  })
})
