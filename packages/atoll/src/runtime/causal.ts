import { AtollError, type Host } from '@atoll/host'
import { isOrderBefore } from '@atoll/log/driver'
import type { RuntimeOptions } from './options.ts'
import { latestOf, ordersOf, type Position } from './position.ts'
import type { Subscription } from './subscription/subscription.ts'

/** What a causal wait stands on. */
export interface CausalGround {
  readonly host: Host
  readonly options: RuntimeOptions
  readonly state: string
  /** Those of the service, by name. A projection that is replayed gets another one. */
  readonly subscriptions: ReadonlyMap<string, Subscription>
  /**
   * The last commit of a service that emitted, as far as this process knows; `'elsewhere'` if another process runs that service, and
   * undefined if the system has none of that name.
   */
  lastOrder(source: string): string | undefined
  /** The same, as its store knows: another instance may have committed since. */
  latestOrder(source: string): Promise<string | undefined>
}

/** A place that a subscription has not reached yet. */
interface Missing {
  readonly subscription: string
  readonly source: string
  readonly partition: number
  readonly order: string
}

/**
 * Waits until a service has handled what its caller has seen. Undefined if it has; else a promise that rejects with BEHIND after
 * `causalWaitMs`, or at the deadline.
 */
export function caughtUp(ground: CausalGround, position: Position, name: string, deadlineMs: number): Promise<void> | undefined {
  if (ground.subscriptions.size === 0) return undefined // it builds on nobody's events
  const { missing, unsure } = compare(ground, position, (source) => ground.lastOrder(source))
  if (missing.length === 0 && unsure.length === 0) return undefined
  const untilMs = Math.min(deadlineMs, ground.host.monotonicMs() + ground.options.causalWaitMs)
  return unsure.length === 0 ? waitFor(ground, missing, name, untilMs) : lookAgain(ground, position, unsure, name, untilMs)
}

/** Somebody has seen more of a source than was known here: of another instance, or of another history, which will never be reached. */
async function lookAgain(ground: CausalGround, position: Position, unsure: readonly string[], name: string, untilMs: number): Promise<void> {
  const latest = new Map<string, string | undefined>()
  for (const source of unsure) latest.set(source, await ground.latestOrder(source))
  const { missing } = compare(ground, position, (source) => latest.get(source) ?? ground.lastOrder(source))
  await waitFor(ground, missing, name, untilMs)
}

/** What of a position is not reached, and which sources it says more of than is known. Every causal request comes through here. */
function compare(ground: CausalGround, position: Position, lastOrder: (source: string) => string | undefined): { missing: readonly Missing[]; unsure: readonly string[] } {
  let missing: Missing[] = none
  let unsure: string[] = none
  for (const [source, partitions] of Object.entries(position)) {
    const last = lastOrder(source)
    if (last === undefined) continue
    for (const [key, orders] of Object.entries(partitions)) {
      const latest = latestOf(orders)
      if (last !== 'elsewhere' && isOrderBefore(last, latest)) {
        unsure = [...unsure, source]
        continue
      }
      const partition = Number(key)
      for (const [subscription, reading] of ground.subscriptions) {
        // Earlier ones can only be missing where something waits for another try.
        const wanted = latest !== orders && reading.mayHold(partition) ? ordersOf(orders) : [latest]
        for (const order of wanted) if (!reading.hasReached(source, partition, order)) missing = [...missing, { subscription, source, partition, order }]
      }
    }
  }
  return { missing, unsure }
}

/** Nearly always nothing is missing, and then nothing should be made. */
const none: never[] = []

async function waitFor(ground: CausalGround, missing: readonly Missing[], name: string, untilMs: number): Promise<void> {
  for (const place of missing) {
    const { source, partition, order } = place
    for (;;) {
      const subscription = ground.subscriptions.get(place.subscription)! // names do not go away
      if (subscription.hasReached(source, partition, order) || (await subscription.hasCommitted(source, partition, order))) break
      const leftMs = untilMs - ground.host.monotonicMs()
      if (leftMs <= 0 || ground.state === 'stopped') {
        throw new AtollError('BEHIND', `${name}: ${place.subscription} has not yet handled what its caller has seen of ${source}`, {
          details: { subscription: place.subscription, source, partition },
        })
      }
      await new Promise<void>((resolve) => {
        const done = (): void => {
          timer.cancel()
          forget()
          resolve()
        }
        const timer = ground.host.after(leftMs, done)
        const forget = subscription.whenReached(source, partition, order, done)
      })
    }
  }
}
