import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { createEmbeddedLog } from '@atoll/log/embedded'
import { createSqliteStores } from '@atoll/store/sqlite'
import { audit, createShop } from '../../test/shop.ts'
import { call } from '../../test/world.ts'
import { startSystem } from '../runtime.ts'

const KILLS = 6

describe('a process that is killed in a burst of writes', () => {
  it('loses nothing that it acknowledged and doubles no effect', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'atoll-crash-'))
    try {
      const acknowledged: number[] = []
      for (let kill = 0; kill < KILLS; kill++)
        acknowledged.push(...(await runUntilKilled(folder, kill * 1_000_000, 20 + kill * 37)))
      assert.ok(acknowledged.length > KILLS * 20)
      await check(folder, acknowledged)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

/** Lets a process acknowledge `count` writes, kills it there and then, and resolves with all that it acknowledged. */
async function runUntilKilled(folder: string, first: number, count: number): Promise<number[]> {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, '../../test/crash-child.ts'), folder, String(first)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const acknowledged: number[] = []
  const lines = createInterface(child.stdout)
  lines.on('line', (line) => {
    acknowledged.push(Number(line))
    if (acknowledged.length === count) child.kill('SIGKILL')
  })
  await Promise.all([once(child, 'exit'), once(lines, 'close')])
  return acknowledged
}

async function check(folder: string, acknowledged: readonly number[]): Promise<void> {
  const host = createNodeHost()
  const log = await createEmbeddedLog({ file: join(folder, 'log.db'), host })
  const stores = createSqliteStores({ folder, host })
  const shop = await startSystem(createShop(), { host, log, stores, logger: silentLogger })
  try {
    await shop.quiet()
    const copied: number[] = []
    for (let account = 0; account < 10; account++) {
      const { cents } = await call(shop, audit.total, { account: `a${account}` })
      copied.push(...cents)
      assert.equal(
        (await call(shop, audit.sums, { account: `a${account}` })).cents,
        cents.reduce((sum, cents) => sum + cents, 0),
      )
    }
    assert.equal(new Set(copied).size, copied.length, 'an effect happened twice')
    const there = new Set(copied)
    assert.deepEqual(
      acknowledged.filter((cents) => !there.has(cents)),
      [],
      'acknowledged writes are missing',
    )
    assert.ok((await shop.admin.ledger()).every((row) => row.balanced && row.pending === 0))
  } finally {
    await shop.stop()
    await stores.close()
    await log.close()
  }
}
