import { AtollError, type Host, type Logger, type Timer } from '@atoll/host'
import type { Statement } from '@atoll/store/driver'
import type { RuntimeOptions } from '../options.ts'
import { toCounts, type Count, type Counts } from '../relay/counts.ts'
import { toProblem } from '../problem.ts'
import type { Problem } from '../running.ts'
import type { Sources } from '../command/sources.ts'
import type { SubscriptionGround } from '../subscription/ground.ts'

const countAccounted: Statement = {
  sql: `SELECT type, sum(count) AS count FROM (SELECT type, count FROM atoll_handled WHERE subscription = ?
          UNION ALL SELECT type, count(*) AS count FROM atoll_held WHERE subscription = ? GROUP BY type
          UNION ALL SELECT type, count(*) AS count FROM atoll_discarded WHERE subscription = ? GROUP BY type
          UNION ALL SELECT type, count FROM atoll_discarded_counts WHERE subscription = ?) AS accounted GROUP BY type`,
}
/**
 * How many events of each type a source has emitted; undefined if it cannot be told now, as while its store is older
 * than the log: that is an alarm of its own.
 */
type EmittedBy = (source: string) => Promise<Counts | undefined>

export interface AuditParts {
  readonly host: Host
  readonly logger: Logger
  readonly options: Pick<RuntimeOptions, 'auditMs'>
  readonly sources: Sources
  /** Those of the service, as they are at the moment. */
  readonly subscriptions: ReadonlyMap<string, Audited>
}

interface Audited {
  readonly ground: SubscriptionGround
}

/** Holds what subscriptions account for against what their sources have emitted, and keeps which of them have more. */
export class Audit {
  readonly #parts: AuditParts
  readonly #unbalanced = new Map<string, AtollError>()
  #timer: Timer | undefined
  #isOver = false

  constructor(parts: AuditParts) {
    this.#parts = parts
  }

  /** Looks at all of them anew, as far as sources in this process say. */
  look(): Promise<void> {
    const { sources, subscriptions } = this.#parts
    return this.#look([...subscriptions.values()], async (source) =>
      sources.isHere(source) ? sources.emitted(source) : undefined,
    )
  }

  async #look(subscriptions: readonly Audited[], emittedBy: EmittedBy): Promise<void> {
    for (const { ground } of subscriptions) {
      const known = this.#unbalanced.get(ground.name)
      const { unbalanced, isWhole } = await holdAgainstSources(ground, emittedBy)
      if (!unbalanced && known && !isWhole) continue // who could tell that it is over is not there
      this.#unbalanced.delete(ground.name)
      if (!unbalanced) continue
      this.#unbalanced.set(ground.name, unbalanced)
      if (known?.message !== unbalanced.message)
        this.#parts.logger.error(
          { subscription: ground.name, error: unbalanced },
          'ALARM: the account of this subscription cannot balance',
        )
    }
  }

  /**
   * Looks now and every `auditMs`, if any source is elsewhere: it may be away at first, or be restored and started anew
   * while this process goes on.
   */
  watch(): void {
    const { host, logger, options, sources, subscriptions } = this.#parts
    this.#isOver = false
    const lookLater = (afterMs: number): void => {
      const asking = [...subscriptions.values()].filter(({ ground }) =>
        ground.events.some(({ source }) => !sources.isHere(source)),
      )
      if (asking.length === 0 || this.#isOver) return
      this.#timer = host.after(afterMs, () => {
        const looking = this.#look(asking, (source) => sources.emitted(source)).catch((error: unknown) =>
          logger.warn({ error }, 'could not hold what was handled against what was emitted; will try again'),
        )
        void looking.then(() => lookLater(options.auditMs))
      })
    }
    lookLater(0)
  }

  end(): void {
    this.#isOver = true
    this.#timer?.cancel()
  }

  get problems(): Problem[] {
    return Array.from(this.#unbalanced, ([name, unbalanced]) =>
      toProblem(`the account of ${name} cannot balance`, unbalanced),
    )
  }
}

/**
 * LEDGER_UNBALANCED for a subscription that has handled or holds more events than their source ever emitted: most often
 * the source was restored to an earlier moment, and the subscriber was not. `isWhole`: every source has told.
 */
async function holdAgainstSources(
  { name, store, events }: SubscriptionGround,
  emittedBy: EmittedBy,
): Promise<{ readonly unbalanced: AtollError | undefined; readonly isWhole: boolean }> {
  // first: until the other side is counted, it can only grow
  const accounted = toCounts(await store.reader.all<Count>(countAccounted, [name, name, name, name]))
  const excess: string[] = []
  let isWhole = true
  for (const source of new Set(events.map((event) => event.source))) {
    const emitted = await emittedBy(source)
    isWhole &&= emitted !== undefined
    if (!emitted) continue
    for (const { type } of events.filter((event) => event.source === source)) {
      const count = (accounted[type] ?? 0) - (emitted[type] ?? 0)
      if (count > 0) excess.push(`${count} ${type} of ${source}`)
    }
  }
  if (excess.length === 0) return { unbalanced: undefined, isWhole }
  return {
    unbalanced: new AtollError(
      'LEDGER_UNBALANCED',
      `${name} has handled events that their source knows no more (${excess.join(', ')}): ${causesOfExcess(name)}`,
    ),
    isWhole,
  }
}

/** Why a subscription may have more of a source's events than that has emitted, and what to do. */
export function causesOfExcess(subscription: string): string {
  return (
    `the store of the source is older than that of ${subscription}, or events were handled twice. If the source was restored, restore the store of ${subscription} from the same moment ` +
    '(a projection can be built anew with `atoll replay`); if nothing was restored, this is a defect'
  )
}
