import type { StoreDefinition } from '@atoll/store'
import { createSubscribe, type Subscribe, type Subscriber } from './subscriber.ts'

/** A read model with a store of its own: built from events alone, so it can be thrown away and built again beside the live one. */
export interface Projection<Tables = unknown> {
  readonly name: string
  readonly store: StoreDefinition<Tables>
  readonly subscribers: readonly Subscriber<Tables>[]
}

export interface ProjectionOptions<Tables> {
  store: StoreDefinition<Tables>
  subscribe: (make: Pick<Subscribe<Tables, never>, 'project'>) => readonly Subscriber<Tables>[]
}

/** Declares a projection. Queries of its service see its tables in `db`; only its own `project` handlers write them. */
export function projection<Tables>(name: string, options: ProjectionOptions<Tables>): Projection<Tables> {
  return { name, store: options.store, subscribers: options.subscribe(createSubscribe<Tables, never>()) }
}

