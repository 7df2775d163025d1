import type { Logger } from '@atoll/host'
import type { Statement } from '@atoll/store/driver'
import type { Subscription } from '../subscription/subscription.ts'

const countHeld: Statement = {
  sql: 'SELECT type, count(*) AS count FROM atoll_held WHERE subscription = ? GROUP BY type ORDER BY type',
}

/**
 * Says which events a service's subscriptions hold that none of their handlers is for any more, since a release before
 * this one handled them. They wait for somebody; the list of dead letters and the ledger mark them.
 */
export async function sayWhatHasNoHandler(
  subscriptions: ReadonlyMap<string, Subscription>,
  logger: Logger,
): Promise<void> {
  for (const [subscription, { ground }] of subscriptions) {
    for (const { type, count } of await ground.store.reader.all<{ type: string; count: number }>(countHeld, [
      subscription,
    ])) {
      if (ground.subscribers.has(type)) continue
      logger.warn(
        { subscription, type, count },
        `${count} events ${type} are held for ${subscription}, which does not handle them any more; start a release that does, or see \`atoll dead-letters list\` and discard them`,
      )
    }
  }
}
