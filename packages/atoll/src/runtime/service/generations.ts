import { AtollError, type Host, type Logger, type Timer } from '@atoll/host'
import type { Reader, Store, StoreDriver } from '@atoll/store/driver'
import type { SubscriptionFacts } from '../../system.ts'
import type { Admission } from '../command/admission.ts'
import type { createFaultLogger } from '../faults.ts'
import type { RuntimeOptions } from '../options.ts'
import { DRAIN_MS } from '../running.ts'
import { openProjection, type ProjectionStore } from './projections.ts'
import { all, inTurn } from '../steps.ts'
import type { Audit } from './audit.ts'
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
  /** Looks anew when a generation has taken the place of the one before. */
  readonly audit: Audit
}

/** The next generation of a projection, built beside the live one until it takes its place, or is given up. */
export interface Rebuild {
  readonly facts: SubscriptionFacts
  readonly next: ProjectionStore
  readonly subscription: Subscription
  /**
   * Settles when nothing of it is left to do: it was given up, or is live and what was there before is put away. Never
   * rejects.
   */
  ending: Promise<void> | undefined
}

/**
 * The projections of a service, each of the generation that is live, and what operations read: the service's store with
 * these. A projection that is rebuilt, here or in another instance, takes the place of the one before while operations
 * go on.
 */
export class Generations {
  readonly #parts: GenerationsParts
  readonly #live = new Map<string, ProjectionStore>()
  #reader: Reader
  #timer: Timer | undefined
  #following: Promise<void> | undefined
  /** By the name of their subscription. */
  readonly #rebuilds = new Map<string, Promise<Rebuild>>()
  /** Whether it looks again and again. */
  #isFollowing = false
  #hasEnded = false

  constructor(parts: GenerationsParts) {
    this.#parts = parts
    this.#reader = parts.store.reader
  }

  async open(projections: readonly Projection[]): Promise<void> {
    const { stores, store, host, options } = this.#parts
    for (const projection of projections) {
      const opened = await openProjection(
        { stores, serviceStore: store, host, instance: options.instance, leaseMs: options.leaseMs },
        projection,
      )
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

  /**
   * Resolves when nothing is about to take the place of anything. Why that failed, if it did, is for those to say who
   * began it.
   */
  async settled(): Promise<void> {
    while (this.#following) await this.#following.catch(noop) // of two who wait one may go on before the other
  }

  /**
   * The service has stopped what it does: resolves when nothing is rebuilt any more, whether or not anybody still asks
   * how far that has come.
   */
  async ended(): Promise<void> {
    await this.settled()
    await all([...this.#rebuilds.values()].map((opening) => opening.then((rebuild) => this.giveUp(rebuild), noop)))
  }

  /**
   * Opens the next generation of a projection beside the live one; the caller starts its subscription, and calls {@link
   * swap} or {@link giveUp}. UNAVAILABLE if it is being rebuilt already.
   */
  rebuild(facts: SubscriptionFacts): Promise<Rebuild> {
    if (this.#rebuilds.has(facts.name))
      return Promise.reject(new AtollError('UNAVAILABLE', `${facts.name} is being rebuilt already; wait for that`))
    const opening = this.#openNext(facts)
    this.#rebuilds.set(facts.name, opening)
    opening.catch(() => this.#rebuilds.delete(facts.name)) // the caller hears why
    return opening
  }

  async #openNext(facts: SubscriptionFacts): Promise<Rebuild> {
    await this.#follow()
    const next = await this.#live.get(facts.projection!)!.next()
    if (!this.#hasEnded)
      return { facts, next, subscription: this.#parts.subscribe(facts, next.store), ending: undefined }
    await next.giveUp()
    throw refusalOf(facts)
  }

  /**
   * Puts a rebuilt generation in the place of the live one. Rejects if it has not become live, and never after that.
   */
  async swap(rebuild: Rebuild): Promise<void> {
    await this.settled()
    if (this.#hasEnded || rebuild.ending) throw refusalOf(rebuild.facts)
    const goingLive = rebuild.next.goLive()
    const installing = goingLive.then(() => this.#install(rebuild))
    // it is live here before anybody looks whether it is
    this.#following = installing.then(noop, noop).finally(() => (this.#following = undefined))
    await goingLive
    await (rebuild.ending = this.#retire(rebuild, installing))
  }

  /**
   * Ends a rebuild that is not to become live, and puts away what it had built. Nothing to do if it has ended
   * otherwise.
   */
  giveUp(rebuild: Rebuild): Promise<void> {
    return (rebuild.ending ??= this.#discard(rebuild))
  }

  async close(): Promise<void> {
    const closeReader = this.#reader === this.#parts.store.reader ? [] : [() => this.#reader.close()]
    await inTurn([
      ...closeReader,
      ...[...this.#live.values()].map(
        ({ store }) =>
          () =>
            store.close(),
      ),
    ])
  }

  async #discard({ facts, next, subscription }: Rebuild): Promise<void> {
    await inTurn([() => subscription.stop(0), () => next.giveUp()]).catch((error: unknown) => {
      this.#parts.logger.warn(
        { subscription: facts.name, error },
        'a rebuild was given up, and what it had built could not be put away; it is removed at a later start',
      )
    })
    this.#rebuilds.delete(facts.name)
  }

  /** Puts away what was there before a generation that is live, once other instances have taken that up. */
  async #retire({ facts }: Rebuild, installing: Promise<ProjectionStore>): Promise<void> {
    const { logger, options } = this.#parts
    try {
      await (await installing).retire(RETIRE_LEASES * options.leaseMs, () => this.#hasEnded)
    } catch (error) {
      // it is live all the same
      logger.warn(
        { subscription: facts.name, error },
        'a projection was rebuilt and is live; what was there before could not be put away, and is removed at a later start',
      )
    }
    this.#rebuilds.delete(facts.name)
  }

  /**
   * From here on a projection is this generation; resolves with the one before, once nobody here uses it any more. If
   * it rejects, all is as it was, and nothing uses the generation: its subscription has stopped, and its store is
   * closed.
   */
  async #install({
    facts,
    next,
    subscription,
  }: Pick<Rebuild, 'facts' | 'next' | 'subscription'>): Promise<ProjectionStore> {
    const { host, logger, admission, audit, subscriptions } = this.#parts
    const old = this.#live.get(facts.projection!)!
    const oldSubscription = subscriptions.get(facts.name)!
    const oldReader = this.#reader
    this.#live.set(facts.projection!, next)
    try {
      this.#openReader()
    } catch (error) {
      this.#live.set(facts.projection!, old)
      await this.#close(next, subscription)
      throw error
    }
    subscriptions.set(facts.name, subscription)
    const ending = inTurn([
      () => oldSubscription.stop(DRAIN_MS),
      // they may still read from the old one
      () => admission.ended(host.monotonicMs() + DRAIN_MS, () => admission.underWay === 0),
      () => oldReader.close(),
      () => audit.look(),
    ])
    await ending.catch((error: unknown) =>
      logger.warn(
        { subscription: facts.name, error },
        'a rebuilt projection is live, and what was to follow did not all work',
      ),
    )
    return old
  }

  /** Nothing uses this generation from here on. */
  async #close(next: ProjectionStore, subscription: Subscription): Promise<void> {
    await inTurn([() => subscription.stop(0), () => next.store.close()]).catch((error: unknown) => {
      this.#parts.logger.warn(
        { store: next.store.name, error },
        'a rebuilt projection that could not be taken up could not be closed either',
      )
    })
  }

  #followLater(): void {
    if (this.#live.size === 0) return
    const { host, faults, options, store } = this.#parts
    this.#timer = host.after(options.lookMs, () => {
      const looking = this.#follow().catch((error: unknown) =>
        faults.warn({ service: store.name, error }, 'could not look for rebuilt projections; will try again'),
      )
      void looking.then(() => this.#isFollowing && this.#followLater())
    })
  }

  /**
   * Takes up what other instances have rebuilt: which generation of a projection is live stands in the service's store.
   */
  #follow(): Promise<void> {
    return (this.#following ??= this.#followNow().finally(() => (this.#following = undefined)))
  }

  async #followNow(): Promise<void> {
    const { facts: all, logger, subscribe } = this.#parts
    for (const facts of all) {
      const next = await this.#live.get(facts.projection!)!.successor()
      if (!next) continue
      const subscription = subscribe(facts, next.store)
      try {
        if (!this.#hasEnded) await subscription.start()
      } catch (error) {
        await this.#close(next, subscription)
        throw error
      }
      if (this.#hasEnded) {
        // it may have while that began
        await this.#close(next, subscription)
        continue
      }
      const old = await this.#install({ facts, next, subscription })
      await old.store.close()
      logger.info(
        { subscription: facts.name, generation: next.generation },
        'another instance has rebuilt this projection; it is live here from now on',
      )
    }
  }

  #openReader(): void {
    const { stores, store } = this.#parts
    const names = [...this.#live.values()].map((projection) => projection.store.name)
    this.#reader = names.length === 0 ? store.reader : stores.openReader([store.name, ...names])
  }
}

function refusalOf({ name }: SubscriptionFacts): AtollError {
  return new AtollError(
    'UNAVAILABLE',
    `${name} was being rebuilt, and its service stops: nothing takes the place of anything now. The live projection was not touched`,
  )
}

/** How many leases to wait for others to take up a rebuilt projection. */
const RETIRE_LEASES = 2

function noop(): void {}
