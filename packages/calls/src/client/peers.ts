import type { Logger } from '@atoll/host'
import type { Discovery, Instance } from '../discovery/discovery.ts'
import type { Peer } from './peer.ts'

/**
 * The instances of every service, as the discovery has them. One that it no longer has gets no more calls; those under
 * way end.
 */
export class Peers {
  readonly #services: readonly string[]
  readonly #discovery: Discovery
  readonly #logger: Logger
  readonly #create: (instance: Instance, service: string) => Peer
  /** Service → address → peer. */
  readonly #known = new Map<string, Map<string, Peer>>()
  readonly #lists = new Map<string, readonly Peer[]>()
  readonly #unwatch: () => void
  readonly #closing = new Set<Promise<void>>()

  constructor(
    services: readonly string[],
    discovery: Discovery,
    logger: Logger,
    create: (instance: Instance, service: string) => Peer,
  ) {
    this.#services = services
    this.#discovery = discovery
    this.#logger = logger
    this.#create = create
    this.#unwatch = discovery.watch(() => this.#look())
    this.#look()
  }

  of(service: string): readonly Peer[] {
    return this.#lists.get(service) ?? []
  }

  async close(): Promise<void> {
    this.#unwatch()
    for (const peers of this.#known.values()) for (const peer of peers.values()) this.#end(peer.destroy())
    this.#known.clear()
    this.#lists.clear()
    await Promise.all(this.#closing)
  }

  #look(): void {
    for (const service of this.#services) {
      const peers = this.#known.get(service) ?? new Map<string, Peer>()
      this.#known.set(service, peers)
      const present = new Map(this.#discovery.instances(service).map((instance) => [keyOf(instance), instance]))
      for (const [key, peer] of peers) {
        if (present.has(key)) continue
        peers.delete(key)
        this.#end(peer.close())
        this.#logger.info({ service, instance: peer.instance.id, url: peer.instance.url }, 'an instance went')
      }
      for (const [key, instance] of present) {
        if (peers.has(key)) continue
        peers.set(key, this.#create(instance, service))
        this.#logger.info(
          { service, instance: instance.id, url: instance.url },
          instance.isListed ? 'an instance is listed' : 'an instance came',
        )
      }
      this.#lists.set(service, [...peers.values()])
    }
  }

  #end(ending: Promise<void>): void {
    const closing = ending.catch(() => undefined) // its connections broke, which is an end too
    this.#closing.add(closing)
    void closing.then(() => this.#closing.delete(closing))
  }
}

/** One that comes back at another address, or as another process at the same one, is another one. */
function keyOf({ id, url }: Instance): string {
  return `${id} ${url}`
}
