import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import type { Counts } from '../crash/history.ts'
import { between, weighted } from '../crash/random.ts'
import { Violation } from '../crash/round.ts'
import { holdsWithin } from '@atoll/engines/waiting'
import { createRandom, type Random } from '@atoll/testkit'
import type { App, Trial } from './app.ts'
import { Cluster } from './cluster.ts'
import type { LogName } from './engines.ts'
import { mishapsOf, type Killed } from './mishaps.ts'

export interface OutagesOptions {
  readonly app: App
  readonly log: LogName
  /** How many kills of services (and their relays), and how many of the log's engine. */
  readonly kills: number
  /** For how long things befall it at the most, however few they are by then, seconds. */
  readonly secondsMax: number
  /** How long the system may take to come to rest once nothing befalls it any more, and to work again, milliseconds. */
  readonly recoveryMs: number
  readonly seed: number
  readonly onMishap?: (soFar: Summary) => void
}

export interface Summary {
  /** The name of the system. */
  readonly app: string
  readonly log: LogName
  readonly seed: number
  readonly kills: Record<Killed, number>
  /** By what happened. */
  readonly mishaps: Map<string, number>
  /** How long each kind of them took altogether, until everything ran again, milliseconds. */
  readonly mishapsMs: Map<string, number>
  /** Before how many of them something had been acknowledged since the one before. */
  underWork: number
  readonly requests: Counts
  /** How often everything was held to account, and how long it took to come to rest each time, milliseconds. */
  readonly recoveriesMs: number[]
  /** How long it might have taken. */
  readonly recoveryMsBound: number
  violation: { readonly text: string; readonly last: string; readonly folder: string } | undefined
}

/**
 * Resolves when the next mishap is due: most often when the system works again, now and then regardless. Whether
 * anything was acknowledged meanwhile.
 */
async function untilDue(trial: Trial, random: Random): Promise<boolean> {
  const before = trial.acknowledged
  const wanted = random.chance(REGARDLESS) ? 0 : between(random, 1, ACKNOWLEDGED_MOST)
  await after(between(random, 50, 500))
  await holdsWithin(WORKS_MS, () => trial.acknowledged - before >= wanted)
  return trial.acknowledged > before
}

/**
 * Throws a {@link Violation} if nothing is acknowledged although nothing befalls the system: one that refuses
 * everything breaks no other promise.
 */
async function assertWorks(trial: Trial, withinMs: number): Promise<void> {
  const before = trial.acknowledged
  if (await holdsWithin(withinMs, () => trial.acknowledged - before >= ACKNOWLEDGED_MOST)) return
  throw new Violation(
    `${trial.acknowledged - before} requests were acknowledged in ${withinMs} ms in which nothing befell it`,
  )
}

const REGARDLESS = 0.25
/** How many requests at the most must be acknowledged before the next mishap. */
const ACKNOWLEDGED_MOST = 15
/** How long it is waited for them: the next mishap may come in the midst of recovery, and should now and then. */
const WORKS_MS = 2_000

/** Mishaps between two accounts. */
const BETWEEN_ACCOUNTS = 25
/** Longer than any operation's deadline: after it, nothing that was asked for can still take effect. */
const SETTLED_MS = 5_500

/**
 * Starts a system as processes on engines, loads it, lets things befall it, and holds it to account, again and again.
 */
export async function outages({
  app,
  log,
  kills,
  secondsMax,
  recoveryMs,
  seed,
  onMishap,
}: OutagesOptions): Promise<Summary> {
  const random = createRandom(seed)
  const folder = mkdtempSync(join(tmpdir(), 'atoll-outages-'))
  chmodSync(folder, 0o755) // not every engine runs as us
  const cluster = new Cluster(app, log, folder, recoveryMs)
  const trial = app.createTrial(cluster, seed)
  const summary: Summary = {
    app: app.system.name,
    log,
    seed,
    kills: { service: 0, log: 0, stores: 0, gateway: 0 },
    mishaps: new Map(),
    mishapsMs: new Map(),
    underWork: 0,
    requests: trial.counts,
    recoveriesMs: [],
    recoveryMsBound: recoveryMs,
    violation: undefined,
  }
  let last = 'none'
  try {
    await cluster.start()
    await trial.start()
    const mishaps = mishapsOf(cluster)
    let untilMs = Infinity
    const killed = (): number =>
      Math.min(summary.kills.service, log === 'postgres' ? summary.kills.stores : summary.kills.log)
    // without a kill nothing was shown
    const isEnough = (): boolean => killed() >= (performance.now() >= untilMs ? Math.min(1, kills) : kills)
    while (!isEnough()) {
      trial.run()
      await assertWorks(trial, recoveryMs)
      // how long the start takes is another matter
      if (untilMs === Infinity) untilMs = performance.now() + secondsMax * 1_000
      for (let count = 0; count < BETWEEN_ACCOUNTS && !isEnough(); count++) {
        if (await untilDue(trial, random)) summary.underWork++
        const mishap = weighted(
          random,
          mishaps.map((one) => [one.weight, one] as const),
        )
        last = mishap.name
        const sinceMs = performance.now()
        await mishap.befall(cluster, random)
        summary.mishaps.set(mishap.name, (summary.mishaps.get(mishap.name) ?? 0) + 1)
        summary.mishapsMs.set(mishap.name, (summary.mishapsMs.get(mishap.name) ?? 0) + performance.now() - sinceMs)
        for (const killed of mishap.kills ?? [])
          summary.kills[log === 'postgres' && killed === 'log' ? 'stores' : killed]++
        onMishap?.(summary)
      }
      await trial.rest()
      await after(SETTLED_MS)
      summary.recoveriesMs.push(SETTLED_MS + (await trial.check(recoveryMs - SETTLED_MS, isEnough())))
      const alarms = cluster.alarms()
      if (alarms.length > 0) throw new Violation(alarms.slice(0, 10).join('\n'))
    }
    trial.run()
    await assertWorks(trial, recoveryMs)
    await trial.rest()
    const count = [...summary.mishaps.values()].reduce((sum, each) => sum + each, 0)
    // Of a few, chance decides.
    if (count >= BETWEEN_ACCOUNTS && summary.underWork < count / 2)
      throw new Violation(
        `only ${summary.underWork} of ${count} mishaps befell a system that had acknowledged anything since the one before`,
      )
  } catch (error) {
    const text =
      error instanceof Violation
        ? error.message
        : `the loop itself failed: ${error instanceof Error ? error.stack : String(error)}`
    summary.violation = { text, last, folder: cluster.folder }
    for (const { name, err } of [...cluster.members, cluster.gateway]) writeFileSync(join(folder, `${name}.err`), err)
  } finally {
    await trial.stop()
    await cluster.stop(summary.violation !== undefined)
  }
  return summary
}
