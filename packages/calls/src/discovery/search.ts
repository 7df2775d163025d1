import type { Host, Logger } from '@atoll/host'
import type { Problem } from 'atoll/runtime'
import type { Discovery } from './discovery.ts'

export interface SearchOptions {
  readonly host: Host
  readonly logger: Logger
  readonly discovery: Discovery
  /** What is to be found before the process gets work: the services that a gateway routes to. May be none. */
  readonly services: readonly string[]
  /** How long to wait for those that are not found while others are, milliseconds. Default 30,000. */
  readonly waitMs?: number | undefined
}

/** A process on the look-out, after its start, for the services that it will call. */
export interface Search {
  /**
   * Why the process should get no work yet; undefined for good once every service has been found, or waited for long
   * enough.
   */
  readonly problem: Problem | undefined
  /** Idempotent. */
  close(): void
}

/**
 * Watches until each service has had an instance once. A service that is lost after that is no reason to turn callers
 * away: others go on, and whoever calls that one hears so from its callers. Nor is one that does not come while others
 * are there, for longer than `waitMs`.
 */
export function searchServices({ host, logger, discovery, services, waitMs = WAIT_MS }: SearchOptions): Search {
  const missing = new Set(services)
  let isOver = false
  const look = (): void => {
    for (const service of missing) if (discovery.instances(service).length > 0) missing.delete(service)
    if (missing.size === 0) close()
  }
  const unwatch = discovery.watch(look)
  const timer = host.after(waitMs, () => {
    isOver = true
    look()
    if (missing.size > 0)
      logger.warn(
        { services: [...missing], waitMs },
        'no instance of these services was found since the start; calls to them fail until there is one, and others are not kept waiting for it',
      )
  })

  function close(): void {
    timer.cancel()
    unwatch()
  }

  return {
    get problem() {
      if (discovery.problem !== undefined)
        return { reason: discovery.problem, brief: 'where services are found is not known yet' }
      look()
      if (missing.size === 0 || (isOver && missing.size < services.length)) return undefined
      const reason = `no instance of ${[...missing].join(', ')} has been found yet`
      return { reason, brief: reason }
    },
    close,
  }
}

const WAIT_MS = 30_000
