import { AtollError, type Host, type Logger, type Timer } from '@atoll/host'
import { RegistryLink } from './link.ts'

export interface RegistrationOptions {
  readonly host: Host
  readonly logger: Logger
  /** Where the registry is: `http://registry:4200`. */
  readonly registry: string
  readonly secret?: string | undefined
  readonly system: string
  /** Names this process. */
  readonly id: string
  /** Where others reach it. */
  readonly url: string
  readonly services: readonly string[]
  /**
   * How long the registry keeps it without hearing from it, milliseconds; it says so three times as often. Default
   * 6,000.
   */
  readonly leaseMs?: number | undefined
}

/** A process that a registry knows of. */
export interface Registration {
  /** Takes it back, so that nobody waits for the lease to run out. Never rejects. Idempotent. */
  leave(): Promise<void>
}

/** Makes an instance known to a registry, and keeps its lease; also over the registry's own restarts. */
export function registerInstance(options: RegistrationOptions): Registration {
  const { host, logger, registry, secret, system, id, url, services, leaseMs = LEASE_MS } = options
  const link = new RegistryLink(host, registry, secret)
  const path = `/systems/${encodeURIComponent(system)}/instances/${encodeURIComponent(id)}`
  let timer: Timer | undefined
  let isTroubled = false
  let leaving: Promise<void> | undefined
  let renewing: Promise<void> = Promise.resolve()

  async function renew(): Promise<void> {
    let delayMs = leaseMs / 3
    try {
      await link.ask('PUT', path, { url, services, leaseMs })
      if (isTroubled) logger.info({ registry }, 'this instance is known to the registry again')
      isTroubled = false
    } catch (error) {
      delayMs = Math.min(delayMs, RETRY_MS)
      if (!isTroubled)
        logger.warn(
          { registry, error: AtollError.from(error) },
          'this instance could not be made known to the registry; will try again',
        )
      isTroubled = true
    }
    if (!leaving) timer = host.after(delayMs, () => (renewing = renew()))
  }
  renewing = renew()

  async function leave(): Promise<void> {
    timer?.cancel()
    await renewing
    // then the lease runs out
    await link.ask('DELETE', `${path}?url=${encodeURIComponent(url)}`, undefined).catch(() => undefined)
    await link.close()
  }
  return { leave: () => (leaving ??= leave()) }
}

const LEASE_MS = 6_000
const RETRY_MS = 500
