import type { Host, Logger } from '@atoll/host'
import type { Log } from '@atoll/log/driver'
import type { Store } from '@atoll/store/driver'
import type { Subscriber } from '../../service/subscriber.ts'
import type { SubscriptionFacts, System } from '../../system.ts'
import type { Attribution } from '../handling/attribution.ts'
import type { RuntimeOptions } from '../options.ts'
import type { Alone } from './alone.ts'
import type { HandlingParts } from '../handling/handling.ts'
import { Refusals } from './refusals.ts'
import type { FailureReports } from './reports.ts'
import { StatementFailures } from './statement-failures.ts'

/** What a subscription stands on, and what it asks of its service. */
export interface SubscriptionGround {
  /** The subscription's name: `orders`, or `reading.pages`. */
  readonly name: string
  readonly host: Host
  readonly logger: Logger
  readonly attribution: Attribution | undefined
  readonly reports: FailureReports
  readonly log: Log
  readonly store: Store
  readonly options: RuntimeOptions
  /** Where events that may end the process are tried, one at a time. */
  readonly alone: Alone
  /** By event name. */
  readonly subscribers: ReadonlyMap<string, Subscriber>
  /** What it handles, event by event, with the service that emits it. */
  readonly events: readonly { readonly type: string; readonly source: string }[]
  readonly refusals: Refusals
  readonly statementFailures: StatementFailures
  /** Every subscriber is a pure projection: events are applied in batches. */
  readonly batched: boolean
  /** What its `on` handlers work with. */
  readonly handling: HandlingParts
}

/** What a system's definition says of a subscription. */
export function factsOf(
  { name, subscribers }: SubscriptionFacts,
  { sources }: System,
): Pick<SubscriptionGround, 'name' | 'subscribers' | 'events' | 'refusals' | 'statementFailures' | 'batched'> {
  return {
    name,
    subscribers: new Map(subscribers.map((subscriber) => [subscriber.event.name, subscriber])),
    // `system` checked it
    events: subscribers.map(({ event }) => ({ type: event.name, source: sources.get(event.name)!.service })),
    refusals: new Refusals(),
    statementFailures: new StatementFailures(),
    batched: subscribers.every((subscriber) => subscriber.kind === 'project'),
  }
}

/** The store could not commit: not the event's fault. The partition is given up for a while and read anew. */
export class StoreFailure extends Error {
  /** It failed at a statement of the handler, and not at the commit or what the runtime asked for. */
  readonly isOfStatement: boolean

  constructor(cause: unknown, isOfStatement = false) {
    super('the store could not commit', { cause })
    this.isOfStatement = isOfStatement
  }
}
