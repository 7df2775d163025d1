import type { Random } from '@atoll/testkit'
import type { Plant } from './plant.ts'
import { points, type Phase, type Point } from './points.ts'
import { between, weighted } from './random.ts'

/** When and where a process is to be killed. */
export interface Kill {
  readonly phase: Phase
  /** What is counted: the name of a point, or the kind of chance. */
  readonly where: string
  readonly point?: Plant['point']
  /**
   * By chance: so long after the process was spawned (start), the load began (load), or it was told to stop (stop).
   * With a point: the bound.
   */
  readonly afterMs: number
  /** The load begins as soon as the process is ready, while it may still catch up. */
  readonly atOnce?: boolean
}

/** Plans kills: by chance, and at points, at each about as often as at the others. */
export class Plan {
  readonly #random: Random
  readonly #planned = new Map<Point, number>()

  constructor(random: Random) {
    this.#random = random
  }

  next(): Kill {
    const random = this.#random
    const kind = weighted(random, kinds)
    if (kind === 'under load')
      return { phase: 'load', where: 'by chance: under load', afterMs: between(random, 20, 600) }
    if (kind === 'starting')
      return { phase: 'start', where: 'by chance: while it starts', afterMs: between(random, 50, 450) }
    if (kind === 'just ready')
      return { phase: 'load', where: 'by chance: just ready', afterMs: between(random, 0, 60), atOnce: true }
    if (kind === 'stopping')
      return { phase: 'stop', where: 'by chance: while it drains', afterMs: between(random, 0, 40) }
    return this.#at(kind)
  }

  /** Of a data folder that no process has started in to the end. */
  first(): Kill {
    if (this.#random.chance(0.25))
      return { phase: 'first start', where: 'by chance: in a first start', afterMs: between(this.#random, 100, 1_000) }
    return this.#at('first start')
  }

  #at(phase: Phase): Kill {
    const candidates = points.filter((point) => point.phase === phase)
    const least = Math.min(...candidates.map((point) => this.#planned.get(point) ?? 0))
    const point = this.#random.pick(candidates.filter((point) => (this.#planned.get(point) ?? 0) === least))
    this.#planned.set(point, least + 1)
    return {
      phase,
      where: point.name,
      point: { name: point.name, nth: between(this.#random, 1, point.nthMax) },
      afterMs: BOUND_MS,
      atOnce: this.#random.chance(0.2),
    }
  }
}

/** A point that was not passed often enough within this time is given up for a kill by chance. */
const BOUND_MS = 1_500
const kinds: readonly (readonly [number, 'under load' | 'starting' | 'just ready' | 'stopping' | Phase])[] = [
  [18, 'under load'],
  [12, 'starting'],
  [8, 'just ready'],
  [3, 'stopping'],
  [38, 'load'],
  [17, 'start'],
  [4, 'stop'],
]
