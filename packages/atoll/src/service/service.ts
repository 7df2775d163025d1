import { AtollError } from '@atoll/host'
import type { StoreDefinition } from '@atoll/store'
import type { AnyContract, ContractFacts, EventsOf, OperationNames } from '../contract/contract.ts'
import type { EventDefinition } from '../contract/event.ts'
import type { Handler } from './context.ts'
import type { Projection } from './projection.ts'
import { createSubscribe, type Subscribe, type Subscriber } from './subscriber.ts'

export interface ServiceOptions<
  C extends AnyContract,
  Tables,
  Projections extends readonly Projection[],
  Private extends readonly EventDefinition[],
> {
  /** The service's own tables. Without it the service has a store all the same, for its cursors and its outbox. */
  store?: StoreDefinition<Tables>
  /** Events that only this service emits and handles: what its timers say, for one. */
  events?: Private
  /** Read models, each with a store of its own. */
  projections?: Projections
  /** One for each operation of the contract. */
  handlers: Handlers<C, Tables & ProjectedTables<Projections>, Private[number], Tables>
  /** What it does with events: `({ on, project }) => [on(paymentTaken, …), project(userRenamed, …)]`. */
  subscribe?: (make: Subscribe<Tables, Emits<C, Private[number]>>) => readonly Subscriber<Tables>[]
}

/**
 * The handlers that a contract asks for: over `Tables`, those of projections among them, and in transactions over `Own`
 * alone. For handlers that live in files of their own.
 */
export type Handlers<C extends AnyContract, Tables, Private extends EventDefinition = never, Own = Tables> = {
  [K in OperationNames<C['contract']['definition']>]: Handler<
    C['contract']['definition'][K],
    Tables,
    Emits<C, Private>,
    Own
  >
}

/** What a service may emit: the events of its contract and its own. */
export type Emits<C extends AnyContract, Private extends EventDefinition> =
  | EventsOf<C['contract']['definition']>
  | Private

/** The tables of a list of projections, together. */
export type ProjectedTables<Projections extends readonly Projection[]> = UnionToIntersection<
  Projections[number] extends Projection<infer Tables> ? (unknown extends Tables ? {} : Tables) : {}
>
type UnionToIntersection<U> = (U extends unknown ? (value: U) => void : never) extends (value: infer I) => void
  ? I
  : never

/** An implementation of a contract. One plain value: the runtime, the flow map and tests read it. */
export interface Service {
  readonly name: string
  readonly contract: ContractFacts
  readonly store: StoreDefinition<unknown> | undefined
  readonly privateEvents: readonly EventDefinition[]
  readonly projections: readonly Projection[]
  readonly subscribers: readonly Subscriber[]
  /** By the operation's name within the contract. */
  readonly handlers: Readonly<Record<string, (context: never) => unknown>>
}

/** Declares how a contract is fulfilled. A missing handler, a wrong payload or an unknown event is a compile error. */
export function service<
  C extends AnyContract,
  Tables = {},
  const Projections extends readonly Projection[] = readonly [],
  const Private extends readonly EventDefinition[] = readonly [],
>(contract: C, options: ServiceOptions<C, Tables, Projections, Private>): Service {
  const facts = contract.contract
  const handlers: Service['handlers'] = options.handlers
  for (const operation of facts.operations) {
    const key = operation.name.slice(facts.name.length + 1)
    if (typeof handlers[key] !== 'function' || handlers[key] === Object.prototype[key as keyof object]) {
      // an operation may be called toString
      throw new AtollError('DEFINITION_INVALID', `service ${facts.name} has no handler for ${operation.name}`)
    }
  }
  return {
    name: facts.name,
    contract: facts,
    store: options.store,
    privateEvents: options.events ?? [],
    projections: options.projections ?? [],
    subscribers: (options.subscribe?.(createSubscribe()) ?? []) as readonly Subscriber[],
    handlers,
  }
}
