import { AtollError, type Host, type Logger, type Timer } from '@atoll/host'
import type { Queries, Statement } from '@atoll/store/driver'
import type { RuntimeOptions } from './options.ts'
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

/** How many events of each type a source has emitted; undefined if it cannot be told now. */
export type EmittedBy = (source: string) => Promise<Counts | undefined>

interface Audited {
  readonly ground: SubscriptionGround
}

/** Subscriptions that have handled events which their source knows no more. */
export class Orphans {
  readonly #host: Host
  readonly #logger: Logger
  readonly #auditMs: number
  readonly #found = new Map<string, AtollError>()
  #timer: Timer | undefined
  #isOver = false

  constructor(host: Host, logger: Logger, { auditMs }: Pick<RuntimeOptions, 'auditMs'>) {
    this.#host = host
    this.#logger = logger
    this.#auditMs = auditMs
  }

  /** Looks at all of these anew. */
  async look(subscriptions: readonly Audited[], emittedBy: EmittedBy): Promise<void> {
    for (const { ground } of subscriptions) {
      const known = this.#found.get(ground.name)
      const { orphans, isWhole } = await findOrphans(ground, emittedBy)
      if (!orphans && known && !isWhole) continue // who could tell that it is over is not there
      this.#found.delete(ground.name)
      if (!orphans) continue
      this.#found.set(ground.name, orphans)
      if (known?.message !== orphans.message) this.#logger.error({ subscription: ground.name, error: orphans }, 'ALARM: the account of this subscription cannot balance')
    }
  }

  /** Looks now and every `auditMs`, if any source is elsewhere: it may be away at first, or be restored and started anew while this process goes on. */
  watch(subscriptions: () => readonly Audited[], isElsewhere: (source: string) => boolean, emittedBy: EmittedBy): void {
    this.#isOver = false
    const lookLater = (afterMs: number): void => {
      const asking = subscriptions().filter(({ ground }) => ground.events.some(({ source }) => isElsewhere(source)))
      if (asking.length === 0 || this.#isOver) return
      this.#timer = this.#host.after(afterMs, () => {
        const looking = this.look(asking, emittedBy).catch((error: unknown) => this.#logger.warn({ error }, 'could not hold what was handled against what was emitted; will try again'))
        void looking.then(() => lookLater(this.#auditMs))
      })
    }
    lookLater(0)
  }

  end(): void {
    this.#isOver = true
    this.#timer?.cancel()
  }

  get problems(): Problem[] {
    return Array.from(this.#found, ([name, orphans]) => toProblem(`the account of ${name} cannot balance`, orphans))
  }
}

/**
 * Says of a subscription that has handled or holds more events than their source ever emitted, so that no ledger can balance: the source was
 * restored to an earlier moment, and the subscriber was not. `isWhole`: every source has told.
 */
async function findOrphans({ name, store, events }: SubscriptionGround, emittedBy: EmittedBy): Promise<{ readonly orphans: AtollError | undefined; readonly isWhole: boolean }> {
  const accounted = toCounts(await store.reader.all<Count>(countAccounted, [name, name, name, name])) // first: until the other side is counted, it can only grow
  const orphans: string[] = []
  let isWhole = true
  for (const source of new Set(events.map((event) => event.source))) {
    const emitted = await emittedBy(source)
    isWhole &&= emitted !== undefined
    if (!emitted) continue
    for (const { type } of events.filter((event) => event.source === source)) {
      const count = (accounted[type] ?? 0) - (emitted[type] ?? 0)
      if (count > 0) orphans.push(`${count} ${type} of ${source}`)
    }
  }
  if (orphans.length === 0) return { orphans: undefined, isWhole }
  const error = new AtollError(
    'STORE_OUTDATED',
    `${name} has handled events that their source knows no more (${orphans.join(', ')}): the store of the source is older than that of ${name}. Restore the store of ${name} from the same moment; a projection can be built anew with \`atoll replay\``,
  )
  return { orphans: error, isWhole }
}

/** How many events of each type a service has emitted, as its store says. */
export async function readEmitted(queries: Queries): Promise<Counts> {
  return toCounts(await queries.all<Count>(countEmitted))
}

/** By type. */
export type Counts = Readonly<Record<string, number>>

function toCounts(rows: readonly Count[]): Counts {
  return Object.fromEntries(rows.map(({ type, count }) => [type, Number(count)])) // PostgreSQL's sum of counts is a text
}
