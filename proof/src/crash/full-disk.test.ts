import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { environmentOf } from './plant.ts'
import { inFolder, type Served } from './served.ts'
import { until } from '@atoll/engines/waiting'

/** Tried in a namespace that ends with the try. */
const canMount = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0

describe(`a disk that is full${canMount ? '' : ' (no file system could be mounted here, so SQLite is told that its files may not grow)'}`, () => {
  it('answers 503, loses nothing that was acknowledged, and goes on when there is room', () =>
    inFolder((folder, serve) =>
      onDisk(folder, async (disk) => {
        const filler = join(disk, 'filler')
        if (canMount) writeFileSync(filler, Buffer.alloc(2 * 2 ** 20))
        const served = await serve(join(disk, 'data'), {
          env: canMount ? {} : { ...environmentOf({ changes: ['files that may not grow'] }), CRASH_FULL: filler },
        })
        if (!canMount) writeFileSync(filler, '')
        const kept: string[] = []
        assert.equal(await keepUntilRefused(served, kept), 503)
        assert.deepEqual((await served.list('notes')).length, kept.length, 'it still answers queries')
        rmSync(filler)
        await until('it keeps notes again', async () => (await served.keep('there is room')) === 200)
        kept.push('there is room')
        await until('all are copied', async () => (await served.list('copies')).length >= kept.length)
        for (const place of ['notes', 'copies'] as const)
          assert.deepEqual((await served.list(place)).map(nameOf).sort(), kept.map(nameOf).sort(), place)
        served.child.kill('SIGTERM')
        assert.equal((await served.ended).code, 0)
      }),
    ))
})

/** Runs `work` on a small file system, or, where none can be mounted, in a plain folder. */
async function onDisk(folder: string, work: (disk: string) => Promise<void>): Promise<void> {
  const disk = join(folder, 'disk')
  mkdirSync(disk)
  if (!canMount) return work(disk)
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', disk]).status, 0)
  try {
    await work(disk)
  } finally {
    spawnSync('umount', ['-l', disk]) // lazily: after a failure the process is still there
  }
}

/** The status that was no 200. What was acknowledged until then is in `kept`. */
async function keepUntilRefused({ keep }: Served, kept: string[]): Promise<number> {
  for (let count = 0; count < 1_000; count++) {
    const text = `note ${count} ${'x'.repeat(4_000)}`
    const status = await keep(text)
    if (status !== 200) return status
    kept.push(text)
  }
  return 200
}

function nameOf(text: string): string {
  return text.slice(0, 12)
}
