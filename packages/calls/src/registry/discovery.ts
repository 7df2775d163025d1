import { AtollError, type Host, type Logger, type Timer } from '@atoll/host'
import { Listeners, type Discovery, type Instance } from '../discovery/discovery.ts'
import { RegistryLink } from './link.ts'
import { decodeListed, type Listed, type ListedInstance } from './protocol.ts'

export interface RegistryDiscoveryOptions {
  readonly host: Host
  readonly logger: Logger
  /** Where the registry is: `http://registry:4200`. */
  readonly url: string
  readonly secret?: string | undefined
  readonly system: string
}

/**
 * Finds instances by a registry, and hears of changes at once. While the registry is down, and while a new one does not
 * know everybody yet, the last instances known go on being called: breakers see to those that are gone.
 */
export function registryDiscovery(options: RegistryDiscoveryOptions): Discovery {
  return new RegistryDiscovery(options)
}

class RegistryDiscovery implements Discovery {
  readonly #options: RegistryDiscoveryOptions
  readonly #link: RegistryLink
  readonly #listeners = new Listeners()
  #known: readonly ListedInstance[] = []
  #last: Listed | undefined
  #problem: string | undefined
  #timer: Timer | undefined
  #failures = 0
  #closed = false

  constructor(options: RegistryDiscoveryOptions) {
    this.#options = options
    this.#link = new RegistryLink(options.host, options.url, options.secret)
    this.#problem = `the registry at ${options.url} has not answered yet`
    void this.#look()
  }

  instances(service: string): readonly Instance[] {
    return this.#known.filter((instance) => instance.services.includes(service))
  }

  watch(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  get problem(): string | undefined {
    return this.#problem
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await this.#link.close()
  }

  async #look(): Promise<void> {
    const last = this.#last
    // The first question after a failure is answered at once: that says that the registry is back.
    const since = last && this.#failures === 0 ? `?run=${last.run}&after=${last.version}&waitMs=${WAIT_MS}` : ''
    try {
      const listed = decodeListed(
        await this.#link.ask(
          'GET',
          `/systems/${encodeURIComponent(this.#options.system)}/instances${since}`,
          undefined,
          since === '' ? undefined : WAIT_MS + GRACE_MS,
        ),
      )
      if (!listed) throw new AtollError('UNAVAILABLE', `what answers at ${this.#options.url} is no registry`)
      this.#take(listed)
      this.#again(0)
    } catch (error) {
      this.#failed(AtollError.from(error))
    }
  }

  #take(listed: Listed): void {
    if (this.#failures > 0) this.#options.logger.info({ registry: this.#options.url }, 'the registry answers again')
    this.#failures = 0
    this.#problem = undefined
    this.#last = listed
    const fresh = new Set(listed.instances.map((instance) => `${instance.id} ${instance.url}`))
    const kept = listed.isWarming ? this.#known.filter((instance) => !fresh.has(`${instance.id} ${instance.url}`)) : []
    this.#known = [...listed.instances, ...kept]
    this.#listeners.tell()
  }

  #failed(error: AtollError): void {
    if (this.#closed) return
    if (this.#failures === 0)
      this.#options.logger.warn(
        { registry: this.#options.url, error },
        'the registry does not answer; the last instances known go on being called',
      )
    if (this.#problem !== undefined) this.#problem = error.reason
    this.#again(Math.min(RETRY_MS * 2 ** this.#failures++, RETRY_MS_MAX))
  }

  #again(delayMs: number): void {
    if (!this.#closed) this.#timer = this.#options.host.after(delayMs, () => void this.#look())
  }
}

/** How long the registry may keep a question that it has nothing new for. */
const WAIT_MS = 25_000
const GRACE_MS = 2_000
const RETRY_MS = 200
const RETRY_MS_MAX = 2_000
