import { AtollError, type Host } from '@atoll/host'
import type { Statement, Store, StoreDriver } from '@atoll/store/driver'
import type { Projection } from '../../service/projection.ts'
import { runtimeMigrations } from '../schema.ts'
import { CREDIBLE } from '../leases.ts'

const selectGeneration: Statement = { sql: 'SELECT generation FROM atoll_projections WHERE name = ?' }
const upsertGeneration: Statement = {
  sql: 'INSERT INTO atoll_projections (name, generation) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET generation = excluded.generation',
}

/** Somebody's lease on a share of a generation's partitions: who builds it, or reads on in it, is there. */
const countOthers: Statement = {
  sql: 'SELECT count(*) AS count FROM atoll_instances WHERE instance <> ? AND expires_at > ? AND expires_at <= ?',
}

/** What a projection's stores stand on. */
export interface ProjectionGround {
  readonly stores: StoreDriver
  readonly serviceStore: Store
  readonly host: Host
  /** The name of this instance. */
  readonly instance: string
  /** How long a lease holds. */
  readonly leaseMs: number
}

/**
 * Opens the live generation of a projection. Each generation is a store of its own; the service's store says which one
 * is live, so that a rebuild happens beside it and the swap is one row.
 */
export async function openProjection(ground: ProjectionGround, projection: Projection): Promise<ProjectionStore> {
  const generation = await liveGeneration(ground, projection)
  return new ProjectionStore(ground, projection, generation, await openGeneration(ground, projection, generation))
}

async function liveGeneration({ serviceStore }: ProjectionGround, projection: Projection): Promise<number> {
  const row = await serviceStore.reader.get<{ generation: number }>(selectGeneration, [projection.name])
  return row?.generation ?? 1
}

/** The store of a projection, one generation of it. */
export class ProjectionStore {
  readonly projection: Projection
  readonly generation: number
  readonly store: Store
  readonly #ground: ProjectionGround

  constructor(ground: ProjectionGround, projection: Projection, generation: number, store: Store) {
    this.#ground = ground
    this.projection = projection
    this.generation = generation
    this.store = store
  }

  /**
   * Removes what is left of a rebuild that was interrupted, and of an old generation whose removal was; not what
   * another instance uses.
   */
  async tidyUp(): Promise<void> {
    for (const generation of [this.generation - 1, this.generation + 1]) {
      if (generation > 0 && !(await this.#isUsed(generation)))
        await this.#ground.stores.remove(nameOf(this.#ground, this.projection, generation))
    }
  }

  /** Opens the next generation, empty, to be built beside this one. UNAVAILABLE if another instance builds it. */
  async next(): Promise<ProjectionStore> {
    const generation = this.generation + 1
    if (await this.#isUsed(generation))
      throw new AtollError(
        'UNAVAILABLE',
        `${this.#ground.serviceStore.name}.${this.projection.name} is being rebuilt by another instance; wait for that, or for its lease to run out`,
      )
    await this.#ground.stores.remove(nameOf(this.#ground, this.projection, generation))
    return this.#open(generation)
  }

  /** Makes this generation the live one. */
  async goLive(): Promise<void> {
    await this.#ground.serviceStore.write((tx) => tx.run(upsertGeneration, [this.projection.name, this.generation]))
  }

  /** The generation that is live now, if it is another one: another instance has rebuilt the projection. */
  async successor(): Promise<ProjectionStore | undefined> {
    const live = await liveGeneration(this.#ground, this.projection)
    return live === this.generation ? undefined : this.#open(live)
  }

  /** Closes this generation and deletes it. */
  async discard(): Promise<void> {
    await this.store.close()
    await this.#ground.stores.remove(this.store.name)
  }

  /**
   * Closes this generation, which is not to become live, and deletes it. If it has become so, or nobody can say, it
   * stays for a later start to decide.
   */
  async giveUp(): Promise<void> {
    const live = await liveGeneration(this.#ground, this.projection).catch(() => this.generation)
    if (live === this.generation) await this.store.close()
    else await this.discard()
  }

  /**
   * Deletes it once no other instance reads on in it; after `waitMs`, or when `isOver`, it is closed, and stays for the
   * next start to remove.
   */
  async retire(waitMs: number, isOver: () => boolean): Promise<void> {
    const { host } = this.#ground
    const untilMs = host.monotonicMs() + waitMs
    while ((await this.#others(this.store)) > 0) {
      if (host.monotonicMs() >= untilMs || isOver()) return this.store.close()
      await new Promise<void>((resolve) => void host.after(RETIRE_LOOK_MS, resolve))
    }
    await this.discard()
  }

  async #open(generation: number): Promise<ProjectionStore> {
    return new ProjectionStore(
      this.#ground,
      this.projection,
      generation,
      await openGeneration(this.#ground, this.projection, generation),
    )
  }

  async #isUsed(generation: number): Promise<boolean> {
    if (!(await this.#ground.stores.exists(nameOf(this.#ground, this.projection, generation)))) return false
    const store = await openGeneration(this.#ground, this.projection, generation)
    try {
      return (await this.#others(store)) > 0
    } finally {
      await store.close()
    }
  }

  async #others(store: Store): Promise<number> {
    const { host, instance, leaseMs } = this.#ground
    const now = host.now()
    return (
      (await store.reader.get<{ count: number }>(countOthers, [instance, now, now + CREDIBLE * leaseMs]))?.count ?? 0
    )
  }
}

/** How often to look whether an old generation is still read. */
const RETIRE_LOOK_MS = 50

function openGeneration(ground: ProjectionGround, projection: Projection, generation: number): Promise<Store> {
  return ground.stores.open(nameOf(ground, projection, generation), {
    ...runtimeMigrations,
    ...projection.store.migrations,
  })
}

function nameOf({ serviceStore }: ProjectionGround, projection: Projection, generation: number): string {
  return `${serviceStore.name}.${projection.name}.${generation}`
}
