import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import type { Log } from '@atoll/log/driver'
import { createPostgresStores } from '@atoll/store/postgres'
import { startSystem, type RunningSystem, type RuntimeOptions } from 'atoll/runtime'
import { removeSystem } from '../../../packages/cli/test/removal.ts'
import { createNatsWorld } from '../../../packages/log/test/nats-world.ts'
import { createPostgresWorld } from '../../../packages/log/test/postgres-harness.ts'
import { notes, restoresSystem } from './system.ts'

// The same as with the seeds, where it could be otherwise: stores on PostgreSQL, a log on an engine, and services in processes of their own.

const host = createNodeHost()

/** Logs of systems of their own on one engine. */
const logs: Readonly<Record<string, () => Promise<{ log: Log; dispose(): Promise<void> }>>> = {
  async PostgreSQL() {
    const world = createPostgresWorld()
    return { log: await world.open(), dispose: () => world.dispose() }
  },
  async NATS() {
    const { world, dispose } = await createNatsWorld(engineUrl('nats'))
    return { log: await world.open(), dispose }
  },
}

/** A system's stores, and what of it runs on a log. */
async function inTown(work: (town: { run(log: Log, services: RuntimeOptions['services'], look: (running: RunningSystem) => Promise<void>): Promise<void>; lose(store: string): Promise<void> }) => Promise<void>): Promise<void> {
  const system = `test-${randomBytes(6).toString('hex')}`
  const stores = createPostgresStores({ url: engineUrl('postgres'), system, host })
  const keepAlive = setInterval(() => {}, 2 ** 30) // the drivers' own timers do not
  try {
    await work({
      async run(log, services, look) {
        const running = await startSystem(restoresSystem, { host, log, stores, logger: silentLogger }, { partitions: 2, services })
        try {
          await look(running)
        } finally {
          await running.stop()
        }
      },
      lose: (store) => stores.remove(store),
    })
  } finally {
    await stores.close()
    await removeSystem(system)
    clearInterval(keepAlive)
  }
}

async function take(running: RunningSystem, count: number): Promise<void> {
  for (let nth = 0; nth < count; nth++) await running.dispatch(notes.take.name, { input: { id: `n${nth}` } })
  await running.quiet()
}

describe('stores on PostgreSQL', () => {
  for (const [engine, open] of Object.entries(logs)) {
    it(`that belong to another log on ${engine} than the one they are given say so at every start, and hand on and handle nothing`, async () => {
      const [ours, theirs] = [await open(), await open()]
      try {
        await inTown((others) => others.run(theirs.log, 'all', (running) => take(running, 12)))
        await inTown(async (town) => {
          await town.run(ours.log, 'all', (running) => take(running, 8))
          for (let start = 0; start < 2; start++) {
            await town.run(theirs.log, ['files'], async (running) => {
              const { ready, reasons } = running.readiness()
              assert.equal(ready, false)
              for (const name of ['files', 'files.index']) assert.ok(reasons.some((reason) => new RegExp(`^${name} is halted: LOG_(DIVERGED|GAP)`).test(reason)), reasons.join('\n'))
            })
            await town.run(theirs.log, ['notes'], async (running) => assert.match(running.readiness().reasons.join('\n'), /the relay of notes is halted: STORE_OUTDATED/))
          }
          await town.run(ours.log, 'all', async (running) => {
            await take(running, 3)
            assert.deepEqual(running.readiness().reasons, [])
            assert.ok((await running.admin.ledger()).every(({ balanced, published }) => balanced && published === 11))
          })
        })
      } finally {
        await ours.dispose()
        await theirs.dispose()
      }
    })

    it(`of which one is gone are found at every start beside a log on ${engine}`, async () => {
      const { log, dispose } = await open()
      try {
        await inTown(async (town) => {
          await town.run(log, 'all', (running) => take(running, 5))
          await town.lose('copies')
          for (let start = 0; start < 2; start++) {
            await town.run(log, 'all', async (running) => {
              assert.match(running.readiness().reasons.join('\n'), /the relay of copies is halted: STORE_OUTDATED/)
              assert.ok((await running.admin.ledger()).some(({ balanced }) => !balanced))
            })
          }
        })
      } finally {
        await dispose()
      }
    })
  }
})
