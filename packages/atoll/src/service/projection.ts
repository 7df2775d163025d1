import type { StoreDefinition } from '@atoll/store'
import { assertProjectionName } from '../contract/names.ts'
import { createSubscribe, type Subscribe, type Subscriber } from './subscriber.ts'

/**
 * A read model with a store of its own: built from events alone, so it can be thrown away and built again beside the
 * live one.
 */
export interface Projection<Tables = unknown> {
  readonly name: string
  readonly store: StoreDefinition<Tables>
  readonly subscribers: readonly Subscriber<Tables>[]
}

export interface ProjectionOptions<Tables> {
  store: StoreDefinition<Tables>
  subscribe: (make: Pick<Subscribe<Tables, never>, 'project'>) => readonly Subscriber<Tables>[]
}

/**
 * Declares a projection. DEFINITION_INVALID for a name that no store can have. Queries of its service see its tables in
 * `db`; only its own `project` handlers write them.
 */
export function projection<Tables>(name: string, options: ProjectionOptions<Tables>): Projection<Tables> {
  assertProjectionName(name)
  return { name, store: options.store, subscribers: options.subscribe(createSubscribe<Tables, never>()) }
}
