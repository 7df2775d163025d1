import { AtollError, type Host, type Logger, type Timer } from '@atoll/host'
import type { Reader, Store, StoreDriver } from '@atoll/store/driver'
import type { SubscriptionFacts } from '../../system.ts'
import type { Admission } from '../command/admission.ts'
import type { createFaultLogger } from '../faults.ts'
import type { RuntimeOptions } from '../options.ts'
import { DRAIN_MS } from '../running.ts'
import { openProjection, type ProjectionStore } from './projections.ts'
import type { Subscription } from '../subscription/subscription.ts'
import type { Projection } from '../../service/projection.ts'

export interface GenerationsParts {
  readonly host: Host
  readonly logger: Logger
  readonly faults: ReturnType<typeof createFaultLogger>
  readonly options: RuntimeOptions
  readonly stores: StoreDriver
  /** The service's own: it says which generation is live. */
  readonly store: Store
  readonly admission: Admission
  /** Of the service's projections. */
  readonly facts: readonly SubscriptionFacts[]
  /** Those of the service, by name: the one of a generation that is live now takes the place of the one before. */
  readonly subscriptions: Map<string, Subscription>
  /** Makes the subscription that applies events to a generation. */
  readonly subscribe: (facts: SubscriptionFacts, store: Store) => Subscription
  /** Hears when a generation has taken the place of the one before. */
  readonly installed: () => Promise<void>
}

/**
 * The projections of a service, each of the generation that is live, and what operations read: the service's store with these. A projection that is rebuilt, here or in another instance, takes
 * the place of the one before while operations go on.
 */
export class Generations {
  readonly #parts: GenerationsParts
  readonly #live = new Map<string, ProjectionStore>()
  #reader: Reader
  #timer: Timer | undefined
  #following: Promise<void> | undefined
  /** Whether it looks again and again. */
  #isFollowing = false
  #hasEnded = false
  /** Subscriptions of which the next generation is being built here. */
  readonly #building = new Set<string>()

  constructor(parts: GenerationsParts) {
    this.#parts = parts
    this.#reader = parts.store.reader
  }

  async open(projections: readonly Projection[]): Promise<void> {
    const { stores, store, host, options } = this.#parts
    for (const projection of projections) {
      const opened = await openProjection({ stores, serviceStore: store, host, instance: options.instance, leaseMs: options.leaseMs }, projection)
      this.#live.set(projection.name, opened)
    }
    this.#openReader()
  }

  /** What operations read: the service's store, and its projections as they are live. */
  get reader(): Reader {
    return this.#reader
  }

  /** The store of a projection, as it is live. */
  storeOf(projection: string): Store {
    return this.#live.get(projection)!.store
  }

  /** The service starts: removes what is left of generations that are not live. */
  async begin(): Promise<void> {
    this.#hasEnded = false
    for (const projection of this.#live.values()) await projection.tidyUp()
  }

  /** From here on it takes up what other instances have rebuilt. */
  follow(): void {
    this.#isFollowing = true
    this.#followLater()
  }

  stopFollowing(): void {
    this.#isFollowing = false
    this.#timer?.cancel()
  }

  /** The service stops: from here on nothing takes the place of anything. */
  end(): void {
    this.#hasEnded = true
    this.stopFollowing()
  }

  /** Resolves when nothing is about to take the place of anything. Why that failed, if it did, is for those to say who began it. */
  async settled(): Promise<void> {
    await this.#following?.catch(noop)
  }

  /** Claims the rebuilding of a projection; call what is returned when that has ended. UNAVAILABLE if it is being rebuilt here: both would build the same generation, and delete each other's store. */
  claim({ name }: SubscriptionFacts): () => void {
    if (this.#building.has(name)) throw new AtollError('UNAVAILABLE', `${name} is being rebuilt already; wait for that`)
    this.#building.add(name)
    return () => this.#building.delete(name)
  }

  /** Opens the next generation of a projection beside the live one; the caller starts its subscription, and calls {@link swap} or discards it. */
  async beside(facts: SubscriptionFacts): Promise<{ next: ProjectionStore; subscription: Subscription }> {
    await this.#follow()
    const next = await this.#live.get(facts.projection!)!.next()
    return { next, subscription: this.#parts.subscribe(facts, next.store) }
  }

  /** Puts a rebuilt generation in the place of the live one. Rejects if it has not become live, and never after that. */
  async swap(facts: SubscriptionFacts, next: ProjectionStore, subscription: Subscription): Promise<void> {
    await this.settled()
    if (this.#hasEnded) throw new AtollError('UNAVAILABLE', `${facts.name} was rebuilt, and its service stops: nothing takes the place of anything now. The live projection was not touched`)
    const goingLive = next.goLive()
    const installing = goingLive.then(() => this.#install(facts, next, subscription))
    this.#following = installing.then(noop, noop).finally(() => (this.#following = undefined)) // it is live here before anybody looks whether it is
    await goingLive
    try {
      await (await installing).retire(RETIRE_LEASES * this.#parts.options.leaseMs)
    } catch (error) { // it is live all the same
      this.#parts.logger.warn({ subscription: facts.name, error }, 'a projection was rebuilt and is live; what was there before could not be put away, and is removed at a later start')
    }
  }

  async close(): Promise<void> {
    if (this.#reader !== this.#parts.store.reader) await this.#reader.close()
    for (const { store } of this.#live.values()) await store.close()
  }

  /** From here on a projection is this generation; returns the one before, once nobody here uses it any more. */
  async #install(facts: SubscriptionFacts, next: ProjectionStore, subscription: Subscription): Promise<ProjectionStore> {
    const { host, admission, subscriptions } = this.#parts
    const old = this.#live.get(facts.projection!)!
    const oldSubscription = subscriptions.get(facts.name)!
    this.#live.set(facts.projection!, next)
    subscriptions.set(facts.name, subscription)
    const oldReader = this.#reader
    this.#openReader()
    await oldSubscription.stop(DRAIN_MS)
    await admission.ended(host.monotonicMs() + DRAIN_MS, () => admission.underWay === 0) // they may still read from the old one
    await oldReader.close()
    await this.#parts.installed()
    return old
  }

  #followLater(): void {
    if (this.#live.size === 0) return
    const { host, faults, options, store } = this.#parts
    this.#timer = host.after(options.lookMs, () => {
      const looking = this.#follow().catch((error: unknown) => faults.warn({ service: store.name, error }, 'could not look for rebuilt projections; will try again'))
      void looking.then(() => this.#isFollowing && this.#followLater())
    })
  }

  /** Takes up what other instances have rebuilt: which generation of a projection is live stands in the service's store. */
  #follow(): Promise<void> {
    return (this.#following ??= this.#followNow().finally(() => (this.#following = undefined)))
  }

  async #followNow(): Promise<void> {
    const { facts: all, logger, subscribe } = this.#parts
    for (const facts of all) {
      const next = await this.#live.get(facts.projection!)!.successor()
      if (!next || this.#hasEnded) {
        await next?.store.close()
        continue
      }
      const subscription = subscribe(facts, next.store)
      await subscription.start()
      const old = await this.#install(facts, next, subscription)
      await old.store.close()
      logger.info({ subscription: facts.name, generation: next.generation }, 'another instance has rebuilt this projection; it is live here from now on')
    }
  }

  #openReader(): void {
    const { stores, store } = this.#parts
    const names = [...this.#live.values()].map((projection) => projection.store.name)
    this.#reader = names.length === 0 ? store.reader : stores.openReader([store.name, ...names])
  }
}

/** How many leases to wait for others to take up a rebuilt projection. */
const RETIRE_LEASES = 2

function noop(): void {}
