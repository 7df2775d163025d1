import { lookup as lookupAddresses, resolveSrv as resolveServices } from 'node:dns/promises'
import { AtollError, type Host, type Logger, type Timer } from '@atoll/host'
import { Listeners, type Discovery, type Instance } from './discovery.ts'

export interface DnsDiscoveryOptions {
  readonly host: Host
  readonly logger: Logger
  /**
   * Where a service is found, with `{service}` for its name. `http://{service}.shop.svc:4100` takes every address of
   * that name, which is what a headless service of Kubernetes has: one for each pod.
   * `srv://_calls._tcp.{service}.shop.svc` takes names and ports from SRV.
   */
  readonly template: string
  readonly services: readonly string[]
  /** How often names are asked for, milliseconds. Default 2,000. */
  readonly everyMs?: number | undefined
  /** For tests. */
  readonly resolver?: Resolver
}

interface Resolver {
  /** Every address of a name, by the rules of the machine (hosts file, search domains). */
  addresses(name: string): Promise<readonly { readonly address: string; readonly family: number }[]>
  services(name: string): Promise<readonly { readonly name: string; readonly port: number }[]>
}

/**
 * Finds instances by DNS, asked again every few seconds. A name that is not there has no instances; while names cannot
 * be asked for, the last answer holds.
 */
export function dnsDiscovery(options: DnsDiscoveryOptions): Discovery {
  return new DnsDiscovery(options)
}

class DnsDiscovery implements Discovery {
  readonly #options: DnsDiscoveryOptions
  readonly #resolver: Resolver
  readonly #known = new Map<string, readonly Instance[]>()
  readonly #listeners = new Listeners()
  #timer: Timer | undefined
  #problem: string | undefined = 'DNS has not answered yet'
  #isTroubled = false
  #closed = false

  constructor(options: DnsDiscoveryOptions) {
    this.#options = options
    this.#resolver = options.resolver ?? system
    assertTemplate(options.template)
    void this.#look()
  }

  instances(service: string): readonly Instance[] {
    return this.#known.get(service) ?? []
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
  }

  async #look(): Promise<void> {
    const { services, host, everyMs = EVERY_MS } = this.#options
    const answers = await Promise.allSettled(services.map((service) => this.#find(service)))
    if (this.#closed) return
    let changed = false
    for (const [index, answer] of answers.entries()) {
      const service = services[index]! // one answer for each
      if (answer.status === 'rejected') continue
      changed ||= !isSame(this.#known.get(service), answer.value)
      this.#known.set(service, answer.value)
    }
    this.#report(answers.find((answer) => answer.status === 'rejected')?.reason)
    if (changed) this.#listeners.tell()
    this.#timer = host.after(everyMs, () => void this.#look())
  }

  async #find(service: string): Promise<readonly Instance[]> {
    const url = new URL(this.#options.template.replaceAll('{service}', service))
    try {
      const urls =
        url.protocol === 'srv:'
          ? (await this.#resolver.services(url.hostname)).map(({ name, port }) => `http://${name}:${port}`)
          : (await this.#resolver.addresses(url.hostname)).map(
              ({ address, family }) => `http://${family === 6 ? `[${address}]` : address}:${url.port || '80'}`,
            )
      return [...new Set(urls)].sort().map((found) => ({ id: new URL(found).host, url: found }))
    } catch (error) {
      if (absent.has((error as NodeJS.ErrnoException).code ?? '')) return []
      throw error
    }
  }

  #report(error: unknown): void {
    if (error === undefined) {
      this.#problem = undefined
      this.#isTroubled = false
      return
    }
    if (this.#problem !== undefined) this.#problem = `DNS does not answer: ${AtollError.from(error).message}`
    if (!this.#isTroubled)
      this.#options.logger.warn(
        { error: AtollError.from(error) },
        'DNS does not answer; the last instances known go on being called',
      )
    this.#isTroubled = true
  }
}

/**
 * The name is known not to be there, or to have no address: a service without ready instances. Anything else is DNS
 * itself.
 */
const absent: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA'])

const system: Resolver = {
  addresses: (name) => lookupAddresses(name, { all: true }),
  services: (name) => resolveServices(name),
}

function assertTemplate(template: string): void {
  const valid =
    /^(http|srv):\/\/[^/]*\{service\}[^/]*$/.test(template) && URL.canParse(template.replaceAll('{service}', 'x'))
  if (!valid)
    throw new AtollError(
      'CONFIG_INVALID',
      `'${template}' does not say where services are found: give http://{service}.<domain>:<port>, or srv://_calls._tcp.{service}.<domain>`,
    )
}

function isSame(a: readonly Instance[] | undefined, b: readonly Instance[]): boolean {
  return a !== undefined && a.length === b.length && a.every(({ url }, index) => url === b[index]!.url)
}

const EVERY_MS = 2_000
