import type { System } from 'atoll'
import type { Random } from '../random.ts'
import type { Phase, Point } from '../world/passage.ts'
import type { Fault, FaultKind, RestoredPart } from './fault.ts'
import { thrownKinds, type Thrown } from './thrown.ts'

/** What faults are drawn from. */
export interface FaultRange {
  readonly system: System
  readonly hasNext: boolean
  /** Only these kinds, if given. */
  readonly kinds: readonly FaultKind[] | undefined
  readonly count: { readonly least: number; readonly most: number }
  /** When timed faults happen, milliseconds. */
  readonly spanMs: number
  readonly leaseMs: number
}

const weights: Readonly<Record<FaultKind, number>> = {
  crash: 8,
  failure: 5,
  delay: 4,
  repeat: 2,
  error: 3,
  poison: 2,
  fatal: 1,
  pause: 2,
  clock: 2,
  second: 2,
  stop: 1,
  power: 1,
  deploy: 1,
  latency: 0,
  drain: 0,
  restore: 0,
}
const phases: readonly Phase[] = ['before', 'during', 'after']
const points: readonly Point[] = ['commit', 'commit', 'commit', 'append', 'read', 'handle']

/**
 * Draws the faults of one seed: first which kinds may happen at all, so that runs differ in nature and rare
 * combinations come up (swarm testing, Groce et al. 2012), then how many and which.
 */
export function drawFaults(random: Random, range: FaultRange): Fault[] {
  const allowed = (Object.keys(weights) as FaultKind[]).filter(
    (kind) => weights[kind] > 0 && (range.kinds?.includes(kind) ?? true) && (kind !== 'deploy' || range.hasNext),
  )
  const kinds = allowed.filter(() => random.chance(0.6))
  const lots = (kinds.length > 0 ? kinds : allowed).flatMap((kind) => Array<FaultKind>(weights[kind]).fill(kind))
  const count = range.count.least + random.int(range.count.most - range.count.least + 1)
  const faults = Array.from({ length: count }, () => drawFault(random, random.pick(lots), range))
  if (drawsLatency(random, range.kinds)) faults.push(...drawLatencies(random.fork('latency'), range))
  const deploys = faults.filter((fault) => fault.kind === 'deploy')
  // one in each run: of two, the second would mend the first
  if (range.kinds?.includes('restore')) faults.push(drawFault(random, 'restore', range))
  return faults.filter((fault) => fault.kind !== 'deploy' || fault === deploys[0]) // there is one next version
}

/** Whether a seed draws runs in which answers take time. */
export function drawsLatency(random: Random, kinds: readonly FaultKind[] | undefined): boolean {
  return (kinds?.includes('latency') ?? true) && random.fork('is slow').chance(0.4)
}

/**
 * Latency alone breaks nothing: it lets other faults strike while an answer is on its way. So each slow service meets
 * some more of those that end its instances, or let them hold events.
 */
function drawLatencies(random: Random, range: FaultRange): Fault[] {
  const slow = range.system.services.filter(() => random.chance(0.5))
  const companions = (
    ['crash', 'crash', 'drain', 'drain', 'second', 'pause', 'error', 'poison', 'poison'] as const
  ).filter((kind) => range.kinds?.includes(kind) ?? true)
  return slow.flatMap((service) => {
    const own = { ...range, system: { ...range.system, services: [service] } }
    const count = companions.length > 0 ? 2 + random.int(5) : 0
    return [
      drawFault(random, 'latency', own),
      ...Array.from({ length: count }, () => drawFault(random, random.pick(companions), own)),
    ]
  })
}

function drawFault(random: Random, kind: FaultKind, { system, spanMs, leaseMs }: FaultRange): Fault {
  const service = random.pick(system.services).name
  // Early passages are as worthwhile as late ones: most of what can go wrong does at a start.
  const nth = 1 + Math.floor(Math.exp(random.next() * Math.log(PASSAGES)))
  const atMs = random.int(spanMs)
  const briefMs = (): number => Math.floor(Math.exp(random.next() * Math.log(3 * leaseMs)))
  switch (kind) {
    case 'crash': {
      const point = random.pick(points)
      // A read has no effect to be in the midst of, and what a handler does is a commit.
      const phase =
        point === 'read' || point === 'handle' ? random.pick(['before', 'after'] as const) : random.pick(phases)
      return { kind, service, point, phase, nth, downMs: briefMs(), renamed: random.chance(0.3) }
    }
    case 'drain':
      return {
        kind,
        service,
        point: random.pick(['commit', 'load', 'read'] as const),
        nthAfterCrash: 1 + Math.floor(Math.exp(random.next() * Math.log(EARLY_PASSAGES))),
        downMs: briefMs(),
      }
    case 'power':
      return { kind, atMs, downMs: briefMs() }
    case 'failure': {
      const point = random.pick(['append', 'read', 'commit'] as const)
      // Only of an append can the answer be lost alone: a store that rejects has undone.
      const phase =
        point === 'append'
          ? random.pick(phases)
          : point === 'read'
            ? 'before'
            : random.pick(['before', 'during'] as const)
      return { kind, service, point, phase, nth, times: 1 + random.int(4) }
    }
    case 'delay':
      return { kind, service, point: random.pick(['append', 'read', 'commit', 'handle'] as const), nth, ms: briefMs() }
    case 'latency':
      return {
        kind,
        service,
        slow: random.pick([['stores'], ['log'], ['stores', 'log']] as const),
        atMs: random.chance(0.5) ? 0 : atMs,
        forMs: leaseMs + random.int(2 * spanMs),
        msMax: Math.floor(LATENCY_MS_MAX ** (0.5 + random.next() / 2)),
      }
    case 'repeat':
      return { kind, service, nth, ms: briefMs() }
    case 'error':
      return { kind, service, nth, times: 1 + random.int(3), thrown: drawThrown(random) }
    case 'poison':
      return { kind, service, nth, thrown: drawThrown(random) }
    case 'fatal':
      return { kind, service, phase: random.pick(['before', 'during'] as const), nth, downMs: 1 + briefMs() }
    case 'pause':
      return {
        kind,
        service,
        atMs,
        forMs: random.chance(0.5) ? briefMs() : Math.floor(leaseMs * (1 + random.next() * 2)),
      }
    case 'clock':
      return { kind, service, atMs, byMs: (random.chance(0.5) ? 1 : -1) * random.int(20 * leaseMs) }
    case 'second':
      return { kind, service, atMs, forMs: leaseMs + random.int(spanMs) }
    case 'stop':
      return { kind, service, atMs, forMs: briefMs() }
    case 'restore': {
      const lateMs = Math.floor(spanMs / 4 + atMs / 2)
      return { kind, atMs: lateMs, parts: drawParts(random, system, lateMs), downMs: briefMs() }
    }
    case 'deploy':
      return { kind, atMs }
  }
}

/**
 * Often what emits comes back together with the log: then each of them is whole, and only a subscriber that has handled
 * more can tell.
 */
function drawParts(random: Random, { services, subscriptions }: System, untilMs: number): RestoredPart[] {
  const projections = subscriptions.filter(({ projection }) => projection !== undefined)
  const names = [...services, ...projections].map(({ name }) => name).concat('log')
  const emitters = services
    .filter(({ contract, privateEvents }) => contract.events.length + privateEvents.length > 0)
    .map(({ name }) => name)
  const together = random.chance(0.4) ? [...emitters, 'log'] : []
  const momentMs = random.int(untilMs)
  const parts = names.flatMap((name): RestoredPart[] => {
    if (together.includes(name)) return [{ name, momentMs }]
    return random.chance(0.3) ? [{ name, momentMs: random.int(untilMs) }] : []
  })
  return parts.length > 0 ? parts : [{ name: random.pick(names), momentMs }]
}

/** An ordinary one is in every other test already. */
function drawThrown(random: Random): Thrown {
  return random.pick(thrownKinds)
}

/** Long enough that much else happens, and short of what lets an operation run into its deadline. */
const LATENCY_MS_MAX = 2_000
/** How far into a run faults by number reach. */
const PASSAGES = 200
/** How far into what an instance does first. */
const EARLY_PASSAGES = 40
