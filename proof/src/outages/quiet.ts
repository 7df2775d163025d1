import { AtollError, silentLogger } from '@atoll/host'
import { createNodeHost } from '@atoll/host/node'
import { createPostgresStores } from '@atoll/store/postgres'
import { openSystem, type LedgerRow } from 'atoll/runtime'
import { Violation } from '../crash/round.ts'
import { holdsWithin } from '@atoll/engines/waiting'
import type { Cluster } from './cluster.ts'
import { openLog } from './engines.ts'
import { openPending } from './pending.ts'

/**
 * Waits until every process of a cluster is ready and every event was handled, `boundMs` at the most, and resolves with
 * its ledger and how long that took, milliseconds. Throws a {@link Violation} if it takes longer.
 */
export async function whenQuiet(
  cluster: Cluster,
  boundMs: number,
): Promise<{ accounts: readonly LedgerRow[]; tookMs: number }> {
  const sinceMs = performance.now()
  await cluster.allReady(boundMs)
  const { ledger, close } = await openLedger(cluster)
  const stores = openPending(cluster)
  let accounts: readonly LedgerRow[] = []
  let before: string | undefined
  const course: string[] = []
  const isQuiet = await holdsWithin(
    boundMs - (performance.now() - sinceMs),
    async () => {
      const pending = await stores.pending()
      course.push(
        `${Math.round(performance.now() - sinceMs)} ms: ${[...pending].map((one) => one.join(' ')).join(', ')}`,
      )
      const isDone = [...pending.values()].every((count) => count === 0)
      if (isDone) accounts = await ledger()
      const now =
        isDone && accounts.every(({ pending }) => pending === 0)
          ? accounts.map(({ published }) => published).join()
          : undefined
      // one look at several stores takes its time: what is handled meanwhile may lead to more
      const isSame = now !== undefined && now === before
      before = now
      return isSame
    },
    LOOK_MS,
  )
  const tookMs = performance.now() - sinceMs
  if (!isQuiet) accounts = await ledger()
  await stores.close()
  await close()
  if (!isQuiet)
    throw new Violation(
      `not everything was handled after ${boundMs} ms: ${JSON.stringify(accounts.filter((account) => account.pending > 0).slice(0, 5))}\npending, from look to look:\n${course.filter((_, nth) => nth % 4 === 0).join('\n')}\n${(await cluster.states()).join('\n')}\n${cluster.said()}`,
    )
  return { accounts, tookMs }
}

async function openLedger({
  app,
  engines,
  log: name,
}: Cluster): Promise<{ ledger: () => Promise<readonly LedgerRow[]>; close: () => Promise<void> }> {
  const host = createNodeHost()
  const log = await openLog(name, engines.log.engine.url, app.system.name)
  const stores = createPostgresStores({ url: engines.stores.engine.url, system: app.system.name, host })
  const system = await openSystem(app.system, { host, log, stores, logger: silentLogger })
  return {
    ledger: () =>
      system.admin.ledger().catch((error: unknown) => {
        if (AtollError.from(error).code === 'UNAVAILABLE') return [pendingSomewhere] // it has just been started again
        throw error
      }),
    close: async () => {
      await system.close()
      await stores.close()
      await log.close()
    },
  }
}

/** Between looks, which take their part of the stores' engine. */
const LOOK_MS = 200

const pendingSomewhere: LedgerRow = {
  event: '',
  source: '',
  subscription: '',
  published: 1,
  handled: 0,
  pending: 1,
  parked: 0,
  dead: 0,
  discarded: 0,
  hasNoHandler: false,
  balanced: true,
  why: undefined,
}
