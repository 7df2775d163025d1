import { AtollError, type Host } from '@atoll/host'
import type { RuntimeOptions } from './options.ts'
import { latestOf, ordersOf, type Position } from './position.ts'
import type { Dispatch } from './running.ts'
import type { Standing } from './standing.ts'
import type { Subscription } from './subscription/subscription.ts'

/** What a causal wait stands on. */
export interface CausalGround {
  readonly host: Host
  readonly options: RuntimeOptions
  readonly state: string
  /** Those of the service, by name. A projection that is replayed gets another one. */
  readonly subscriptions: ReadonlyMap<string, Subscription>
  /** How far a service has got, as far as is known here; undefined if the system has none of that name. */
  standingOf(source: string): Standing | undefined
  /** Those that are under way, longest first. */
  readonly waits: Set<CausalWait>
}

/** A place that a subscription has not reached yet. */
interface Missing {
  readonly subscription: string
  readonly source: string
  readonly partition: number
  readonly order: string
}

/** What a caller has seen, and may have seen. */
export type Seen = Pick<Dispatch, 'position' | 'maybeSeen'>

/**
 * Waits until a service has handled what its caller has seen, and for a while for what it may have seen. Undefined if it has; else a promise
 * that says whether some of the latter was missed. It rejects with BEHIND after `causalWaitMs`, or at the deadline, or when more than
 * `causalWaitsMax` wait and it has waited longest.
 */
export function caughtUp(ground: CausalGround, { position, maybeSeen }: Seen, name: string, deadlineMs: number): Promise<boolean> | undefined {
  const missing = position ? compare(ground, position) : none
  const maybeMissing = maybeSeen ? compare(ground, maybeSeen.position) : none
  if (missing.length === 0 && maybeMissing.length === 0) return undefined
  return waitForAll(ground, missing, maybeMissing, name, deadlineMs, maybeSeen?.untilMs ?? 0)
}

async function waitForAll(ground: CausalGround, missing: readonly Missing[], maybeMissing: readonly Missing[], name: string, deadlineMs: number, maybeUntilMs: number): Promise<boolean> {
  if (missing.length > 0) await waitFor(ground, missing, name, Math.min(deadlineMs, ground.host.monotonicMs() + ground.options.causalWaitMs))
  if (maybeMissing.length === 0) return false
  const wait = begin(ground, maybeMissing, Math.min(deadlineMs, maybeUntilMs))
  return (await wait.ended()) !== undefined && !wait.isGivenUp
}

/** What of a position is not reached. Every causal request comes through here, and nearly always nothing is missing. */
function compare(ground: CausalGround, position: Position): readonly Missing[] {
  if (ground.subscriptions.size === 0) return none // it builds on nobody's events
  let missing: Missing[] = none
  for (const source of Object.keys(position)) {
    const standing = ground.standingOf(source)
    if (!standing) continue
    for (const [key, orders] of Object.entries(position[source]!)) {
      const partition = Number(key)
      if (!(partition >= 0 && partition < ground.options.partitions)) continue
      const latest = latestOf(orders)
      for (const [subscription, reading] of ground.subscriptions) {
        // Earlier ones can only be missing where something waits for another try, or where the latest may be one that there never was.
        const wanted = latest !== orders && (reading.mayHold(partition) || !standing.covers(partition, latest)) ? ordersOf(orders) : [latest]
        for (const order of wanted) if (!reading.hasReached(source, partition, order)) missing = [...missing, { subscription, source, partition, order }]
      }
    }
  }
  return missing
}

/** Nearly always nothing is missing, and then nothing should be made. */
const none: never[] = []

async function waitFor(ground: CausalGround, missing: readonly Missing[], name: string, untilMs: number): Promise<void> {
  const wait = begin(ground, missing, untilMs)
  const place = await wait.ended()
  if (!place) return
  const { subscription, source, partition } = place
  const why = wait.isGivenUp ? `, and too many wait for such (causalWaitsMax, ${ground.options.causalWaitsMax})` : ''
  throw new AtollError('BEHIND', `${name}: ${subscription} has not yet handled what its caller has seen of ${source}${why}`, { details: { subscription, source, partition } })
}

/** Of those who wait, one gives way if there are too many: what has been waited for longest is the least likely to come. */
function begin(ground: CausalGround, missing: readonly Missing[], untilMs: number): CausalWait {
  const { waits, options } = ground
  for (const longest of waits) {
    if (waits.size < options.causalWaitsMax) break
    longest.giveUp()
  }
  const wait = new CausalWait(ground, missing, untilMs)
  waits.add(wait)
  return wait
}

/**
 * A request that waits until places are reached. Of places beyond all that is known of their source, the source is asked meanwhile, and those
 * that it has not reached either are not waited for: they are made up, or of a history that there is no more.
 */
export class CausalWait {
  isGivenUp = false
  readonly #ground: CausalGround
  readonly #untilMs: number
  #missing: readonly Missing[]
  #isOver = false
  #wake: () => void = noop

  constructor(ground: CausalGround, missing: readonly Missing[], untilMs: number) {
    this.#ground = ground
    this.#missing = missing
    this.#untilMs = untilMs
  }

  /** Resolves when there is nothing left to wait for; with a place that was not reached, if it ended for another reason. */
  async ended(): Promise<Missing | undefined> {
    for (const source of new Set(this.#missing.filter((place) => !this.#isKnown(place)).map(({ source }) => source))) void this.#ask(source)
    try {
      for (;;) {
        this.#missing = this.#missing.filter((place) => !this.#isReached(place))
        const [place] = this.#missing
        if (!place) return undefined
        const leftMs = this.#untilMs - this.#ground.host.monotonicMs()
        if (leftMs <= 0 || this.isGivenUp || this.#ground.state === 'stopped') return place
        await this.#woken(place, leftMs)
      }
    } finally {
      this.#isOver = true
      this.#ground.waits.delete(this)
    }
  }

  /** Ends it, whatever is missing. */
  giveUp(): void {
    this.isGivenUp = true
    this.#ground.waits.delete(this)
    this.#wake()
  }

  #isReached({ subscription, source, partition, order }: Missing): boolean {
    return this.#subscription(subscription).hasReached(source, partition, order)
  }

  #isKnown({ source, partition, order }: Missing): boolean {
    return this.#ground.standingOf(source)!.covers(partition, order) // compare has passed over sources that there are not
  }

  /** Until the source has answered, its places are waited for like any other. */
  async #ask(source: string): Promise<void> {
    while (!(await this.#ground.standingOf(source)!.ask())) if (this.#isOver) return
    this.#missing = this.#missing.filter((place) => place.source !== source || this.#isKnown(place))
    this.#wake()
  }

  /** Resolves when a place may have been reached, when the time is up, or when there is another reason to look again. */
  #woken({ subscription, source, partition, order }: Missing, leftMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = noop
        timer.cancel()
        forget()
        resolve()
      }
      const wake = (): void => this.#wake()
      const timer = this.#ground.host.after(leftMs, wake)
      const forget = this.#subscription(subscription).whenReached(source, partition, order, wake)
    })
  }

  #subscription(name: string): Subscription {
    return this.#ground.subscriptions.get(name)! // names do not go away
  }
}

function noop(): void {}
