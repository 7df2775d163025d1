import { AtollError, type Logger } from '@atoll/host'
import type { Statement, Store } from '@atoll/store/driver'
import { toProblem } from './problem.ts'
import type { Problem } from './running.ts'
import type { SubscriptionGround } from './subscription/ground.ts'

const countAccounted: Statement = {
  sql: `SELECT type, sum(count) AS count FROM (SELECT type, count FROM atoll_handled WHERE subscription = ?
          UNION ALL SELECT type, count(*) AS count FROM atoll_held WHERE subscription = ? GROUP BY type
          UNION ALL SELECT type, count(*) AS count FROM atoll_discarded WHERE subscription = ? GROUP BY type
          UNION ALL SELECT type, count FROM atoll_discarded_counts WHERE subscription = ?) AS accounted GROUP BY type`,
}
const countEmitted: Statement = {
  sql: `SELECT type, sum(count) AS count FROM (SELECT type, count FROM atoll_published
          UNION ALL SELECT type, count(*) AS count FROM atoll_outbox GROUP BY type) AS emitted GROUP BY type`,
}

interface Count {
  readonly type: string
  readonly count: number
}

/** Subscriptions that have handled events which their source knows no more, as far as it runs in this process. */
export class Orphans {
  readonly #logger: Logger
  readonly #found = new Map<string, AtollError>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Looks at all of these anew. `storeOf`: the store of a source that runs here. */
  async look(subscriptions: readonly { readonly ground: SubscriptionGround }[], storeOf: (source: string) => Store | undefined): Promise<void> {
    for (const { ground } of subscriptions) {
      const orphans = await findOrphans(ground, storeOf)
      this.#found.delete(ground.name)
      if (!orphans) continue
      this.#found.set(ground.name, orphans)
      this.#logger.error({ subscription: ground.name, error: orphans }, 'ALARM: the account of this subscription cannot balance')
    }
  }

  get problems(): Problem[] {
    return Array.from(this.#found, ([name, orphans]) => toProblem(`the account of ${name} cannot balance`, orphans))
  }
}

/**
 * Says of a subscription that has handled or holds more events than their source ever emitted, so that no ledger can balance: the source was
 * restored to an earlier moment, and the subscriber was not. Undefined if there are none.
 */
async function findOrphans({ name, store, events }: SubscriptionGround, storeOf: (source: string) => Store | undefined): Promise<AtollError | undefined> {
  const accounted = toMap(await store.reader.all<Count>(countAccounted, [name, name, name, name])) // first: until the other side is counted, it can only grow
  const orphans: string[] = []
  for (const source of new Set(events.map((event) => event.source))) {
    const emitter = storeOf(source)
    if (!emitter) continue
    const emitted = toMap(await emitter.reader.all<Count>(countEmitted))
    for (const { type } of events.filter((event) => event.source === source)) {
      const count = (accounted.get(type) ?? 0) - (emitted.get(type) ?? 0)
      if (count > 0) orphans.push(`${count} ${type} of ${source}`)
    }
  }
  if (orphans.length === 0) return undefined
  return new AtollError(
    'STORE_OUTDATED',
    `${name} has handled events that their source knows no more (${orphans.join(', ')}): the store of the source is older than that of ${name}. Restore the store of ${name} from the same moment; a projection can be built anew with \`atoll replay\``,
  )
}

function toMap(rows: readonly Count[]): ReadonlyMap<string, number> {
  return new Map(rows.map(({ type, count }) => [type, Number(count)])) // PostgreSQL's sum of counts is a text
}
