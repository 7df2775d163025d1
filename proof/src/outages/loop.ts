import { chmodSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import type { Counts } from '../crash/history.ts'
import { createRandom } from '../crash/random.ts'
import { Violation } from '../crash/round.ts'
import { Cluster } from './cluster.ts'
import type { LogName } from './engines.ts'
import { mishapsOf } from './mishaps.ts'
import { Trial } from './trial.ts'

export interface OutagesOptions {
  readonly log: LogName
  /** How many kills of services (and their relays), and how many of the log's engine. */
  readonly kills: number
  readonly seed: number
  readonly onMishap?: (soFar: Summary) => void
}

export interface Summary {
  readonly log: LogName
  readonly seed: number
  readonly kills: Record<'service' | 'log' | 'stores' | 'gateway', number>
  /** By what happened. */
  readonly mishaps: Map<string, number>
  readonly requests: Counts
  /** How often everything was held to account, and how long it took to come to rest each time, milliseconds. */
  readonly recoveriesMs: number[]
  violation: { readonly text: string; readonly last: string; readonly folder: string } | undefined
}

/** Mishaps between two accounts. */
const BETWEEN_ACCOUNTS = 25
/** How long a system may take to come to rest once nothing befalls it any more: the stated bound. */
export const RECOVERY_MS = 30_000
/** Longer than any operation's deadline: after it, nothing that was asked for can still take effect. */
const SETTLED_MS = 5_500

/** Starts Conduit as processes on engines, loads it, lets things befall it, and holds it to account, again and again. */
export async function outages({ log, kills, seed, onMishap }: OutagesOptions): Promise<Summary> {
  const random = createRandom(seed)
  const folder = mkdtempSync(join(tmpdir(), 'atoll-outages-'))
  chmodSync(folder, 0o755) // not every engine runs as us
  const cluster = new Cluster(log, folder)
  const trial = new Trial(cluster, seed)
  const summary: Summary = { log, seed, kills: { service: 0, log: 0, stores: 0, gateway: 0 }, mishaps: new Map(), requests: trial.history.counts, recoveriesMs: [], violation: undefined }
  let last = 'none'
  try {
    await cluster.start()
    await trial.start()
    const mishaps = mishapsOf(cluster)
    const isEnough = (): boolean => summary.kills.service >= kills && (log === 'postgres' ? summary.kills.stores : summary.kills.log) >= kills
    while (!isEnough()) {
      trial.run()
      for (let count = 0; count < BETWEEN_ACCOUNTS && !isEnough(); count++) {
        await after(random.between(100, 700))
        const mishap = random.weighted(mishaps.map((one) => [one.weight, one] as const))
        last = mishap.name
        await mishap.befall(cluster, random)
        summary.mishaps.set(mishap.name, (summary.mishaps.get(mishap.name) ?? 0) + 1)
        if (mishap.kills) summary.kills[mishap.kills]++
        onMishap?.(summary)
      }
      await trial.rest()
      await after(SETTLED_MS)
      summary.recoveriesMs.push(SETTLED_MS + (await trial.check(RECOVERY_MS, isEnough())))
    }
  } catch (error) {
    const text = error instanceof Violation ? error.message : `the loop itself failed: ${error instanceof Error ? error.stack : String(error)}`
    summary.violation = { text, last, folder: cluster.folder }
  } finally {
    await trial.stop()
    await cluster.stop(summary.violation !== undefined)
  }
  return summary
}
