import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { silentLogger } from '@atoll/host'
import type { Admin } from 'atoll/runtime'
import fixture from '../test/fixture-system.ts'
import { loadConfig } from './config/config.ts'
import { createJsonLogger } from './logging/logger.ts'
import { startProcess } from './serve/process.ts'
import { look, start, type Started } from './start.ts'

// A shop whose store and log come back from a backup, while what its warehouse has shipped stays as it is.

const options = { runtime: { partitions: 1 } }

/**
 * Runs `work` on a data folder whose shop and log are older than its warehouse: that one has shipped a lamp and a chair
 * that the shop knows no more.
 */
async function restored(work: (data: string) => Promise<void>, parts = /^(shop|log)\./): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-restored-'))
  const [data, backup] = [join(folder, 'data'), join(folder, 'backup')]
  try {
    await run(data, async ({ running }) => running.quiet())
    cpSync(data, backup, { recursive: true })
    await run(data, async (started) => {
      await place(started, 'lamp', 'chair')
      await started.running.quiet()
    })
    for (const name of readdirSync(data).filter((file) => parts.test(file))) rmSync(join(data, name))
    for (const name of readdirSync(backup).filter((file) => parts.test(file)))
      cpSync(join(backup, name), join(data, name))
    await work(data)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function run(data: string, work: (started: Started) => Promise<void>, runtime: object = {}): Promise<void> {
  const started = await start(fixture, { data, runtime: { ...options.runtime, ...runtime } })
  try {
    await work(started)
  } finally {
    await started.stop()
  }
}

async function place({ running }: Started, ...skus: string[]): Promise<void> {
  for (const sku of skus) await running.dispatch('shop.place', { input: { sku, count: 1 } })
}

async function shipped({ running }: Started): Promise<unknown> {
  return (await running.dispatch('warehouse.stock', { input: {} })).output
}

describe('a source that was restored, and its subscriber not', () => {
  it('gives no number again that the subscriber has passed, so that what comes after it is handled', () =>
    restored(async (data) => {
      await run(data, async (started) => {
        await place(started, 'table', 'bed')
        await started.running.quiet()
        assert.deepEqual(await shipped(started), ['seeded 1', 'lamp 1', 'chair 1', 'table 1', 'bed 1'])
      })
      await run(data, async (started) => {
        await place(started, 'sofa')
        await started.running.quiet()
        assert.deepEqual(await shipped(started), ['seeded 1', 'lamp 1', 'chair 1', 'table 1', 'bed 1', 'sofa 1'])
      })
    }))

  it('are said at every start not to balance, until a projection is built anew and the rest restored', () =>
    restored(async (data) => {
      for (let nth = 0; nth < 2; nth++) {
        await run(data, async ({ running }) => {
          const { ready, reasons } = running.readiness()
          assert.equal(ready, false)
          for (const name of ['warehouse', 'warehouse.shelves']) {
            assert.ok(
              reasons.some((reason) =>
                reason.includes(
                  `the account of ${name} cannot balance: LEDGER_UNBALANCED: ${name} has handled events that their source knows no more (2 order.placed of shop)`,
                ),
              ),
              reasons.join('\n'),
            )
          }
          for (const { balanced, subscription, why } of await running.admin.ledger()) {
            assert.equal(balanced, false)
            assert.match(
              why!,
              new RegExp(
                `^LEDGER_UNBALANCED: ${subscription} has 2 more than shop ever published: .* restore the store of ${subscription} from the same moment .*; if nothing was restored, this is a defect$`,
              ),
            )
          }
        })
      }
      await run(data, async ({ running }) => {
        for await (const progress of running.admin.replay('warehouse.shelves')) assert.equal(progress.held, 0)
        assert.ok(
          !running.readiness().reasons.some((reason) => reason.includes('warehouse.shelves')),
          running.readiness().reasons.join('\n'),
        )
      })
    }))

  it('are halted if more is lost than lostNumbersMax', () =>
    restored(async (data) => {
      for (let nth = 0; nth < 2; nth++) {
        await run(
          data,
          async (started) => {
            await place(started, 'table', 'bed', 'sofa')
            const { ready, brief } = started.running.readiness()
            assert.equal(ready, false)
            assert.ok(
              brief.some((reason) => /^warehouse is halted: LOG_(GAP|DIVERGED)$/.test(reason)),
              brief.join('\n'),
            )
            assert.deepEqual(await shipped(started), ['seeded 1', 'lamp 1', 'chair 1'])
          },
          { lostNumbersMax: 1 },
        )
      }
    }))

  it('go on if lostNumbersMax is raised to what the alarms name', () =>
    restored(async (data) => {
      const alarms: string[] = []
      const halted = await start(fixture, {
        data,
        logger: createJsonLogger('error', (line) => alarms.push(line)),
        runtime: { ...options.runtime, lostNumbersMax: 1 },
      })
      await halted.stop()
      const named = alarms.flatMap((line) => /raise runtime\.lostNumbersMax to (\d+)/.exec(line)?.[1] ?? []).map(Number)
      await run(
        data,
        async (started) => {
          await place(started, 'table')
          await started.running.quiet()
          assert.deepEqual(await shipped(started), ['seeded 1', 'lamp 1', 'chair 1', 'table 1'])
        },
        { lostNumbersMax: Math.max(...named) },
      )
    }))
})

describe('a source that has emitted since it was restored', () => {
  it('gives up no numbers: what has them would be skipped, so its subscriber is halted at every start', () =>
    restored(async (data) => {
      await run(data, (started) => place(started, 'table'), { lostNumbersMax: 1 }) // under the number of the lamp
      for (let nth = 0; nth < 2; nth++) {
        await run(data, async (started) => {
          const { brief } = started.running.readiness()
          assert.ok(
            brief.some((reason) => /^warehouse is halted: LOG_GAP$/.test(reason)),
            brief.join('\n'),
          )
          assert.deepEqual(
            (await started.running.admin.ledger()).map(({ balanced }) => balanced),
            [false, false],
          )
        })
      }
    }))
})

describe('a service whose store alone was restored', () => {
  it('takes commands in atoll dev, and says at every start what it cannot do', () =>
    restored(async (data) => {
      for (let nth = 0; nth < 2; nth++) {
        await run(data, async (started) => {
          await place(started, `table ${nth}`)
          const reasons = started.running.readiness().reasons.join('\n')
          assert.match(
            reasons,
            /the relay of shop is halted: STORE_OUTDATED: .* its commands are carried out, and what they do is lost with this store/,
          )
          assert.doesNotMatch(reasons, /LEDGER_UNBALANCED/)
        })
      }
    }, /^shop\./))

  it('is the reason that the ledger gives for accounts that do not balance, with the system running or not', () =>
    restored(async (data) => {
      const follows = async ({ ledger }: Pick<Admin, 'ledger'>): Promise<void> => {
        for (const { balanced, subscription, why } of await ledger()) {
          assert.equal(balanced, false)
          assert.match(
            why!,
            new RegExp(
              `^LEDGER_UNBALANCED: this follows from STORE_OUTDATED of shop, .*: mend that first, and leave the store of ${subscription} as it is$`,
            ),
          )
        }
      }
      const stopped = await look(fixture, data, silentLogger)
      await follows(stopped.admin).finally(() => stopped.close())
      await run(data, ({ running }) => follows(running.admin))
    }, /^shop\./))
})

describe('a system whose log is gone', () => {
  const withoutLog = async (work: (data: string, remains: () => string[]) => Promise<void>): Promise<void> => {
    const folder = mkdtempSync(join(tmpdir(), 'atoll-gone-'))
    const data = join(folder, 'data')
    try {
      await run(data, async (started) => {
        await place(started, 'lamp')
        await started.running.quiet()
      })
      cpSync(join(data, 'log.db'), join(folder, 'log.db'))
      rmSync(join(data, 'log.db'))
      await work(data, () => readdirSync(data).sort())
      cpSync(join(folder, 'log.db'), join(data, 'log.db'))
      await run(data, async (started) => assert.deepEqual(await shipped(started), ['seeded 1', 'lamp 1']))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  it('is refused at every start, and keeps its stores until the log is there again', () =>
    withoutLog(async (data, remains) => {
      const before = remains()
      for (let nth = 0; nth < 2; nth++) {
        await assert.rejects(
          run(data, async () => undefined),
          { code: 'LOG_GAP' },
        )
        // neither a mark by which the next start would delete it, nor an empty log in the place of the one that is gone
        assert.deepEqual(remains(), before)
      }
    }))

  it('is refused so as a process, too', () =>
    withoutLog(async (data, remains) => {
      const config = loadConfig({
        env: {
          ATOLL_STORE_URL: `sqlite:${data}`,
          ATOLL_CALLS_SECRET: 'a secret of this shop',
          ATOLL_CALLS_PORT: '0',
          ATOLL_RUNTIME_PARTITIONS: '1',
        },
      })
      const before = remains()
      for (let nth = 0; nth < 2; nth++) {
        const { started, stop } = await startProcess(fixture, {
          config,
          module: import.meta.filename,
          services: ['shop', 'warehouse'],
          instance: 'one',
          gateway: undefined,
          logger: silentLogger,
        })
        await assert.rejects(started, { code: 'LOG_GAP' }).finally(stop)
        assert.deepEqual(remains(), before)
      }
    }))
})
