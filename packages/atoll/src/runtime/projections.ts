import { AtollError } from '@atoll/host'
import type { Statement, Store, StoreDriver } from '@atoll/store/driver'
import type { Projection } from '../service/projection.ts'
import { runtimeMigrations } from './schema.ts'

const selectGeneration: Statement = { sql: 'SELECT generation FROM atoll_projections WHERE name = ?' }
const upsertGeneration: Statement = {
  sql: 'INSERT INTO atoll_projections (name, generation) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET generation = excluded.generation',
}

/**
 * Opens the live generation of a projection. Each generation is a store of its own; the service's store says which one is live, so
 * that a rebuild happens beside it and the swap is one row.
 */
export async function openProjection(stores: StoreDriver, serviceStore: Store, projection: Projection): Promise<ProjectionStore> {
  const row = await serviceStore.reader.get<{ generation: number }>(selectGeneration, [projection.name])
  const generation = row?.generation ?? 1
  // A rebuild that was interrupted, or an old generation whose removal was.
  await stores.remove(nameOf(serviceStore, projection, generation + 1))
  if (generation > 1) await stores.remove(nameOf(serviceStore, projection, generation - 1))
  return new ProjectionStore(stores, serviceStore, projection, generation, await openGeneration(stores, serviceStore, projection, generation))
}

/** The store of a projection, one generation of it. */
export class ProjectionStore {
  readonly projection: Projection
  readonly store: Store
  readonly #stores: StoreDriver
  readonly #serviceStore: Store
  readonly #generation: number

  constructor(stores: StoreDriver, serviceStore: Store, projection: Projection, generation: number, store: Store) {
    this.#stores = stores
    this.#serviceStore = serviceStore
    this.projection = projection
    this.#generation = generation
    this.store = store
  }

  /** Opens the next generation, empty, to be built beside this one. */
  async next(): Promise<ProjectionStore> {
    const generation = this.#generation + 1
    const store = await openGeneration(this.#stores, this.#serviceStore, this.projection, generation)
    return new ProjectionStore(this.#stores, this.#serviceStore, this.projection, generation, store)
  }

  /** Makes this generation the live one. */
  async goLive(): Promise<void> {
    await this.#serviceStore.write((tx) => tx.run(upsertGeneration, [this.projection.name, this.#generation]))
  }

  /** Closes this generation and deletes it. */
  async discard(): Promise<void> {
    await this.store.close()
    await this.#stores.remove(this.store.name)
  }
}

function openGeneration(stores: StoreDriver, serviceStore: Store, projection: Projection, generation: number): Promise<Store> {
  return stores.open(nameOf(serviceStore, projection, generation), { ...runtimeMigrations, ...projection.store.migrations })
}

function nameOf(serviceStore: Store, projection: Projection, generation: number): string {
  if (!/^[a-z][a-z0-9-]*$/.test(projection.name)) {
    throw new AtollError('DEFINITION_INVALID', `projection name '${projection.name}' must be lower case letters, digits and dashes`)
  }
  return `${serviceStore.name}.${projection.name}.${generation}`
}
