import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { judgeLedger, whenQuiet } from './control.ts'
import { Conduit } from './process.ts'
import { look } from './stores.ts'

describe('atoll dev --fresh, killed while it deletes the data', () => {
  it('leaves a folder in which the next start begins anew, and not with half of what was there', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'atoll-fresh-'))
    const data = join(folder, 'data')
    try {
      const first = new Conduit(data, {})
      assert.ok(await first.ready)
      await first.end('SIGKILL')
      for (const nth of [3, 9]) {
        const killed = new Conduit(data, { point: { name: 'seeding: clearing what a cut-off one left', nth } }, [
          '--fresh',
        ])
        assert.equal((await killed.ended).signal, 'SIGKILL')
      }
      const next = new Conduit(data, {})
      assert.ok(await next.ready, next.err)
      const accounts = await whenQuiet(data, 10_000)
      const seen = look(data)
      await next.end('SIGKILL')
      assert.deepEqual([...judgeLedger(accounts!, seen.logged), ...seen.contradictions, next.err], [''])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
