import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { engineUrl } from '@atoll/engines'
import { silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import type { Log } from '@atoll/log/driver'
import { openPool, quoteIdentifier } from '@atoll/postgres'
import { createPostgresStores } from '@atoll/store/postgres'
import { startSystem, type RunningSystem, type RuntimeOptions } from 'atoll/runtime'
import { removeSystem } from '../../../packages/cli/test/removal.ts'
import { createNatsWorld } from '../../../packages/log/test/nats/world.ts'
import { createPostgresWorld } from '../../../packages/log/test/postgres/harness.ts'
import { notes, restoresSystem } from './system.ts'

// The same as with the seeds, where it could be otherwise: stores on PostgreSQL, a log on an engine, and services in
// processes of their own.

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
async function inTown(
  work: (town: {
    run(log: Log, services: RuntimeOptions['services'], look: (running: RunningSystem) => Promise<void>): Promise<void>
    lose(store: string): Promise<void>
    handled(store: string, table: string): Promise<string[]>
  }) => Promise<void>,
): Promise<void> {
  const system = `test-${randomBytes(6).toString('hex')}`
  const stores = createPostgresStores({ url: engineUrl('postgres'), system, host })
  const keepAlive = setInterval(() => {}, 2 ** 30) // the drivers' own timers do not
  try {
    await work({
      async run(log, services, look) {
        const running = await startSystem(
          restoresSystem,
          { host, log, stores, logger: silentLogger },
          { partitions: 2, services },
        )
        try {
          await look(running)
        } finally {
          await running.stop()
        }
      },
      lose: (store) => stores.remove(store),
      async handled(store, table) {
        const pool = openPool({ url: engineUrl('postgres'), host, applicationName: 'tests', connectionsMax: 1 })
        const { rows } = await pool.query<{ event: string }>(
          `SELECT event FROM ${quoteIdentifier(`${system}_${store}`)}.${table}`,
        )
        await pool.close()
        return rows.map(({ event }) => event)
      },
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
    for (const [length, count] of [
      ['longer', 12],
      ['as long', 8],
    ] as const)
      it(`that belong to another log on ${engine} than the one they are given, which is ${length}, say so at every start, and hand on and handle nothing`, async () => {
        const [ours, theirs] = [await open(), await open()]
        try {
          await inTown((others) => others.run(theirs.log, 'all', (running) => take(running, count)))
          await inTown(async (town) => {
            await town.run(ours.log, 'all', (running) => take(running, 8))
            for (let start = 0; start < 2; start++) {
              await town.run(theirs.log, ['files'], async (running) => {
                const { ready, reasons } = running.readiness()
                assert.equal(ready, false)
                for (const name of ['files', 'files.index'])
                  assert.ok(
                    reasons.some((reason) => new RegExp(`^${name} is halted: LOG_(DIVERGED|GAP)`).test(reason)),
                    reasons.join('\n'),
                  )
              })
              await town.run(theirs.log, ['notes'], async (running) =>
                assert.match(running.readiness().reasons.join('\n'), /the relay of notes is halted: STORE_OUTDATED/),
              )
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

    // On NATS a place names the stream's own count, which a new stream has not reached: a reader is halted there.
    if (engine === 'PostgreSQL')
      it(`of which sources are empty, and so is their log on ${engine}, skip nothing that comes, and tell at every start what nobody knows any more`, async () => {
        const [before, after] = [await open(), await open()]
        try {
          await inTown(async (town) => {
            await town.run(before.log, 'all', (running) => take(running, 8))
            const known = {
              handled: await town.handled('files', 'handled'),
              indexed: await town.handled('files.index.1', 'indexed'),
            }
            assert.deepEqual([known.handled.length, known.indexed.length], [8, 8])
            for (const source of ['notes', 'copies']) await town.lose(source)
            await town.run(after.log, ['files'], async (running) =>
              assert.match(running.readiness().reasons.join('\n'), /files is halted: LOG_GAP/),
            )
            for (let start = 1; start <= 2; start++) {
              await town.run(after.log, 'all', async (running) => {
                await take(running, 4)
                const reasons = running.readiness().reasons.join('\n')
                for (const name of ['files', 'files.index'])
                  assert.match(reasons, new RegExp(`the account of ${name} cannot balance: LEDGER_UNBALANCED`))
                assert.doesNotMatch(reasons, /halted/)
                for (const [source, store, table, old] of [
                  ['copies', 'files', 'handled', known.handled],
                  ['notes', 'files.index.1', 'indexed', known.indexed],
                ] as const) {
                  const emitted: string[] = []
                  for await (const { id, type } of running.admin.events({ source }))
                    if (type !== '@lost') emitted.push(id)
                  assert.equal(emitted.length, 4 * start)
                  assert.deepEqual((await town.handled(store, table)).sort(), [...old, ...emitted].sort(), store)
                }
              })
            }
          })
        } finally {
          await before.dispose()
          await after.dispose()
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
