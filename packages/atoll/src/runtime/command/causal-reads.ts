import { AtollError, type Host } from '@atoll/host'
import type { RuntimeOptions } from '../options.ts'
import { latestOf, ordersOf, type Position } from '../position.ts'
import type { Dispatch } from '../running.ts'
import type { Sources } from './sources.ts'
import type { Subscription } from '../subscription/subscription.ts'

/** A place that a subscription has not reached yet. */
interface Missing {
  readonly subscription: string
  readonly source: string
  readonly partition: number
  readonly order: string
}

/** What a caller has seen, and may have seen. */
export type Seen = Pick<Dispatch, 'position' | 'maybeSeen'>

/** Lets reads wait until a service has handled what their callers have seen. */
export class CausalReads {
  readonly #host: Host
  readonly #options: RuntimeOptions
  readonly #subscriptions: ReadonlyMap<string, Subscription>
  readonly #sources: Sources
  /** Those that are under way, longest first. */
  readonly #waits = new Set<CausalWait>()

  /** `subscriptions`: those of the service, by name. A projection that is replayed gets another one. */
  constructor(host: Host, options: RuntimeOptions, subscriptions: ReadonlyMap<string, Subscription>, sources: Sources) {
    this.#host = host
    this.#options = options
    this.#subscriptions = subscriptions
    this.#sources = sources
  }

  /**
   * Waits until the service has handled what a caller has seen, and for a while for what it may have seen. Undefined if
   * it has; else a promise that says whether some of the latter was missed. It rejects with BEHIND after
   * `causalWaitMs`, or at the deadline, or when more than `causalWaitsMax` wait and it has waited longest.
   */
  catchUp({ position, maybeSeen }: Seen, name: string, deadlineMs: number): Promise<boolean> | undefined {
    const missing = position ? this.#compare(position) : none
    const maybeMissing = maybeSeen ? this.#compare(maybeSeen.position) : none
    if (missing.length === 0 && maybeMissing.length === 0) return undefined
    return this.#waitForAll(missing, maybeMissing, name, deadlineMs, maybeSeen?.untilMs ?? 0)
  }

  /** The service handles nothing more: nobody waits for it. */
  end(): void {
    for (const wait of this.#waits) wait.end('the service stops')
  }

  async #waitForAll(
    missing: readonly Missing[],
    maybeMissing: readonly Missing[],
    name: string,
    deadlineMs: number,
    maybeUntilMs: number,
  ): Promise<boolean> {
    if (missing.length > 0)
      await this.#waitFor(missing, name, Math.min(deadlineMs, this.#host.monotonicMs() + this.#options.causalWaitMs))
    if (maybeMissing.length === 0) return false
    const wait = this.#begin(maybeMissing, Math.min(deadlineMs, maybeUntilMs))
    return (await wait.ended()) !== undefined && wait.endedBecause === undefined
  }

  /**
   * What of a position is not reached. Every causal request comes through here, and nearly always nothing is missing.
   */
  #compare(position: Position): readonly Missing[] {
    if (this.#subscriptions.size === 0) return none // it builds on nobody's events
    let missing: Missing[] = none
    for (const source of Object.keys(position)) {
      const standing = this.#sources.standing(source)
      if (!standing) continue
      for (const [key, orders] of Object.entries(position[source]!)) {
        const partition = Number(key)
        if (!(partition >= 0 && partition < this.#options.partitions)) continue
        const latest = latestOf(orders)
        for (const [subscription, reading] of this.#subscriptions) {
          // Earlier ones can only be missing where something waits for another try, or where the latest may be one that
          // there never was.
          const wanted =
            latest !== orders && (reading.mayHold(partition) || !standing.covers(partition, latest))
              ? ordersOf(orders)
              : [latest]
          for (const order of wanted)
            if (!reading.hasReached(source, partition, order))
              missing = [...missing, { subscription, source, partition, order }]
        }
      }
    }
    return missing
  }

  async #waitFor(missing: readonly Missing[], name: string, untilMs: number): Promise<void> {
    const wait = this.#begin(missing, untilMs)
    const place = await wait.ended()
    if (!place) return
    const { subscription, source, partition } = place
    const why = wait.endedBecause === undefined ? '' : `, and ${wait.endedBecause}`
    throw new AtollError(
      'BEHIND',
      `${name}: ${subscription} has not yet handled what its caller has seen of ${source}${why}`,
      { details: { subscription, source, partition } },
    )
  }

  /**
   * Of those who wait, one gives way if there are too many: what has been waited for longest is the least likely to
   * come.
   */
  #begin(missing: readonly Missing[], untilMs: number): CausalWait {
    const { causalWaitsMax } = this.#options
    for (const longest of this.#waits) {
      if (this.#waits.size < causalWaitsMax) break
      longest.end(`too many wait for such (causalWaitsMax, ${causalWaitsMax})`)
    }
    const wait = new CausalWait(this.#host, this.#subscriptions, this.#sources, missing, untilMs, () =>
      this.#waits.delete(wait),
    )
    this.#waits.add(wait)
    return wait
  }
}

/** Nearly always nothing is missing, and then nothing should be made. */
const none: never[] = []

/**
 * A request that waits until places are reached. Of places beyond all that is known of their source, the source is
 * asked meanwhile, and those that it has not reached either are not waited for: they are made up, or of a history that
 * there is no more.
 */
class CausalWait {
  /** Why it was ended from outside, if it was. */
  endedBecause: string | undefined
  readonly #host: Host
  readonly #subscriptions: ReadonlyMap<string, Subscription>
  readonly #sources: Sources
  readonly #untilMs: number
  readonly #onOver: () => void
  #missing: readonly Missing[]
  #isOver = false
  #wake: () => void = noop

  constructor(
    host: Host,
    subscriptions: ReadonlyMap<string, Subscription>,
    sources: Sources,
    missing: readonly Missing[],
    untilMs: number,
    onOver: () => void,
  ) {
    this.#host = host
    this.#subscriptions = subscriptions
    this.#sources = sources
    this.#missing = missing
    this.#untilMs = untilMs
    this.#onOver = onOver
  }

  /**
   * Resolves when there is nothing left to wait for; with a place that was not reached, if it ended for another reason.
   */
  async ended(): Promise<Missing | undefined> {
    for (const source of new Set(this.#missing.filter((place) => !this.#isKnown(place)).map(({ source }) => source)))
      void this.#ask(source)
    try {
      for (;;) {
        this.#missing = this.#missing.filter((place) => !this.#isReached(place))
        const [place] = this.#missing
        if (!place) return undefined
        const leftMs = this.#untilMs - this.#host.monotonicMs()
        if (leftMs <= 0 || this.endedBecause !== undefined) return place
        await this.#woken(place, leftMs)
      }
    } finally {
      this.#isOver = true
      this.#onOver()
    }
  }

  /** Ends it, whatever is missing. */
  end(because: string): void {
    this.endedBecause = because
    this.#onOver()
    this.#wake()
  }

  #isReached({ subscription, source, partition, order }: Missing): boolean {
    return this.#subscription(subscription).hasReached(source, partition, order)
  }

  #isKnown({ source, partition, order }: Missing): boolean {
    // compare has passed over sources that there are not
    return this.#sources.standing(source)!.covers(partition, order)
  }

  /** Until the source has answered, its places are waited for like any other. */
  async #ask(source: string): Promise<void> {
    while (!(await this.#sources.standing(source)!.ask())) if (this.#isOver) return
    this.#missing = this.#missing.filter((place) => place.source !== source || this.#isKnown(place))
    this.#wake()
  }

  /**
   * Resolves when a place may have been reached, when the time is up, or when there is another reason to look again.
   */
  #woken({ subscription, source, partition, order }: Missing, leftMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = noop
        timer.cancel()
        forget()
        resolve()
      }
      const wake = (): void => this.#wake()
      const timer = this.#host.after(leftMs, wake)
      const forget = this.#subscription(subscription).whenReached(source, partition, order, wake)
    })
  }

  #subscription(name: string): Subscription {
    return this.#subscriptions.get(name)! // names do not go away
  }
}

function noop(): void {}
