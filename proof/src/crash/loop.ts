import { createRandom, type Random } from '@atoll/testkit'
import type { Counts } from './history.ts'
import { assertPatchesFit } from '../patches.ts'
import { Plan, type Kill } from './plan.ts'
import { allPatches } from './plant.ts'
import type { Conduit, End } from './process.ts'
import { between } from './random.ts'
import { didNotStart, Round, Violation } from './round.ts'
import type { Sabotage } from './sabotage.ts'

export interface LoopOptions {
  readonly kills: number
  readonly seed: number
  /** The code with a promise broken: kills come where it shows. */
  readonly sabotage?: Sabotage | undefined
  readonly onKill?: (soFar: Summary) => void
}

export interface Summary {
  readonly seed: number
  kills: number
  /** By point, or kind of chance. */
  readonly places: Map<string, number>
  readonly requests: Counts
  /** Full looks at stores, log, ledger and pages. */
  checks: number
  violation:
    | { readonly text: string; readonly kill: number; readonly last: string; readonly folder: string }
    | undefined
}

/** Kills of one data folder. Then another begins, so that first starts are killed too, and files stay small. */
const ROUND_KILLS = 40
const FIRST_KILLS = 3
/** A start, a drain, or a client's last answer that takes longer than this hangs. */
const HANG_MS = 40_000

/** Starts Conduit, loads it, kills it, and holds it to account, again and again. Ends with the first violation. */
export async function loop({ kills, seed, sabotage, onKill }: LoopOptions): Promise<Summary> {
  for (const patches of allPatches().values()) assertPatchesFit(patches)
  const random = createRandom(seed)
  const plan = new Plan(random)
  const summary: Summary = {
    seed,
    kills: 0,
    places: new Map(),
    requests: { acknowledged: 0, refused: 0, unknown: 0, again: 0 },
    checks: 0,
    violation: undefined,
  }
  let last = 'none'
  while (summary.kills < kills && !summary.violation) {
    const round = new Round(
      between(random, 0, 2 ** 31),
      changesOf(random, sabotage),
      sabotage ? BROKEN_QUIET_MS : QUIET_MS,
    )
    const until = Math.min(kills, summary.kills + ROUND_KILLS)
    const firstUntil = summary.kills + Math.min(FIRST_KILLS, Math.floor((until - summary.kills) / 4))
    try {
      while (summary.kills < until) {
        const kill = sabotage
          ? killOf(sabotage, random, summary.kills === 0, round.hasUsers)
          : summary.kills < firstUntil
            ? plan.first()
            : round.hasUsers
              ? plan.next()
              : byChance
        const where = await within(HANG_MS, kill.where, perform(round, kill, summary))
        if (where === undefined) continue // it drained before the kill came
        last = kill.point ? `${where}, ${JSON.stringify(kill.point)}` : `${where}, after ${kill.afterMs} ms`
        summary.kills++
        summary.places.set(where, (summary.places.get(where) ?? 0) + 1)
        onKill?.(summary)
      }
      await round.finish()
      summary.checks++
    } catch (error) {
      const text =
        error instanceof Violation
          ? error.message
          : `the loop itself failed: ${error instanceof Error ? error.stack : String(error)}`
      summary.violation = { text, kill: summary.kills, last, folder: round.folder }
    } finally {
      const { counts } = round.history
      for (const outcome of ['acknowledged', 'refused', 'unknown', 'again'] as const)
        summary.requests[outcome] += counts[outcome]
      round.close(summary.violation !== undefined && !sabotage)
    }
  }
  return summary
}

/** Where the process was killed; undefined if it was not. */
async function perform(round: Round, kill: Kill, summary: Summary): Promise<string | undefined> {
  const conduit = round.start(kill.point)
  try {
    if (!kill.point && (kill.phase === 'start' || kill.phase === 'first start')) {
      await after(kill.afterMs, conduit.ended)
      return await killed(conduit, kill)
    }
    const url = await conduit.ready
    if (url === undefined) return await killed(conduit, kill)
    if (!round.hasUsers) {
      if (kill.phase === 'first start') return await killed(conduit, kill)
      await round.register(url)
    } else if (!kill.atOnce && (await round.check(conduit, url))) summary.checks++
    round.run(url)
    await after(kill.phase === 'stop' ? LOADED_MS : kill.afterMs, conduit.ended)
    if (kill.phase === 'stop') {
      conduit.signal('SIGTERM')
      await after(kill.afterMs, conduit.ended)
    }
    return await killed(conduit, kill)
  } finally {
    await conduit.end('SIGKILL')
    await round.rest()
  }
}

/** Kills it if it did not kill itself, and says where that was. Throws if it ended in any other way than it should. */
async function killed(conduit: Conduit, kill: Kill): Promise<string | undefined> {
  const byItself = conduit.isOver
  const end: End = await conduit.end('SIGKILL')
  if (end.code === 0 && kill.phase === 'stop') return undefined
  if (end.signal !== 'SIGKILL') throw didNotStart(end)
  return byItself || !kill.point ? kill.where : 'by chance: its point was not passed so often'
}

/** Resolves after a time, or sooner with what ends sooner. */
async function after(ms: number, sooner: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([sooner, new Promise((resolve) => (timer = setTimeout(resolve, ms)))])
  clearTimeout(timer)
}

async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const hang = new Promise<never>(
    (_, reject) => (timer = setTimeout(() => reject(new Violation(`it hung: ${what}, ${ms} ms`)), ms)),
  )
  return Promise.race([work, hang]).finally(() => clearTimeout(timer))
}

function killOf({ point, nthMax }: Sabotage, random: Random, isFirst: boolean, hasUsers: boolean): Kill {
  const phase = isFirst && point.startsWith('seeding') ? 'first start' : 'load'
  if (!hasUsers && phase === 'load') return byChance
  return { phase, where: point, point: { name: point, nth: between(random, 1, nthMax) }, afterMs: LOADED_MS * 10 }
}

function changesOf(random: Random, sabotage: Sabotage | undefined): string[] {
  if (sabotage) return [sabotage.name]
  return random.chance(0.5) ? ['small checkpoints'] : []
}

const LOADED_MS = 250
const QUIET_MS = 15_000
/** With a promise broken, some events wait for ever. */
const BROKEN_QUIET_MS = 3_000
const byChance: Kill = { phase: 'load', where: 'by chance: under load', afterMs: 200 }
