import { AtollError } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import type { SubscriptionFacts } from '../system.ts'
import type { RebuildProgress } from './admin.ts'
import type { ServiceRuntime } from './service-runtime.ts'
import type { Subscription } from './subscription/subscription.ts'

/**
 * Builds a projection anew in a store beside the live one, which goes on serving, and swaps it in when it has caught up. If it is cut
 * off, the live one stays and the unfinished store is removed at the next start.
 */
export async function* rebuildProjection(service: ServiceRuntime, facts: SubscriptionFacts, log: Log): AsyncGenerator<RebuildProgress> {
  if (facts.projection === undefined) {
    throw new AtollError('UNSUPPORTED', `${facts.name} handles events with effects, which a replay would repeat; only projections can be replayed`)
  }
  if (service.state !== 'running') throw new AtollError('UNAVAILABLE', `service ${service.name} is ${service.state}; start it before you replay ${facts.name}`)
  const { next, subscription } = await service.beside(facts)
  let swapped = false
  try {
    await subscription.start()
    for (;;) {
      const progress = await progressOf(subscription, log, service.partitions)
      if (progress.handled >= progress.total && subscription.idle) break
      yield progress
      await pause(service)
    }
    await service.swap(facts, next, subscription)
    swapped = true
    const { total } = await progressOf(subscription, log, service.partitions)
    yield { subscription: facts.name, handled: total, total, done: true }
  } finally {
    if (!swapped) {
      await subscription.stop(0)
      await next.discard()
    }
  }
}

async function progressOf(subscription: Subscription, log: Log, partitions: number): Promise<RebuildProgress> {
  const sources = new Set(subscription.ground.events.map((event) => event.source))
  let handled = 0
  let total = 0
  for (const source of sources) {
    for (let partition = 0; partition < partitions; partition++) {
      total += (await log.tail(source, partition))?.number ?? 0
      handled += subscription.partitions.get(partition)?.cursor(source)?.number ?? 0
    }
  }
  const { problems } = subscription
  if (problems.length > 0) throw new AtollError('UNAVAILABLE', `the rebuild cannot go on: ${problems.join('; ')}. The live projection was not touched`)
  return { subscription: subscription.ground.name, handled, total, done: false }
}

function pause(service: ServiceRuntime): Promise<void> {
  return new Promise((resolve) => void service.host.after(PROGRESS_MS, resolve))
}

/** How often progress is told. */
const PROGRESS_MS = 20
