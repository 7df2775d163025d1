// For whoever starts a system on several machines: the log on NATS JetStream.

import { silentLogger, type Host, type Logger } from '@atoll/host'
import type { Log } from './driver.ts'
import type { NatsCredentials, NatsTls } from './drivers/nats/connection.ts'
import { openNatsLog } from './drivers/nats/driver.ts'
import { defaultLimits, type NatsLogLimits } from './drivers/nats/limits.ts'
import { assertSystemName } from './drivers/shared/checks.ts'

export type { NatsCredentials, NatsTls } from './drivers/nats/connection.ts'
export { defaultLimits, type NatsLogLimits } from './drivers/nats/limits.ts'

export interface NatsLogOptions {
  /**
   * One server or several of a cluster: `nats://host:port`, also with `user:password@` or `token@`; `tls://` insists on
   * TLS.
   */
  servers: string | readonly string[]
  /**
   * Keeps this system's events apart from those of others on the same server: up to 31 lower case letters, digits and
   * dashes.
   */
  system: string
  host: Host
  /** Hears when the server cannot be reached and when it can again. Default: nobody. */
  logger?: Logger
  credentials?: NatsCredentials
  tls?: NatsTls
  /** On how many servers each new stream lies: 1, 3 or 5. Default 1; with 3 it survives the loss of one. */
  replicas?: number
  /**
   * Where each server tells its settings, such as `http://host:8222`. Only `examine` asks there; without it, nobody
   * knows when the servers sync.
   */
  monitoring?: string | readonly string[]
  /** Only what differs from {@link defaultLimits}. */
  limits?: Partial<NatsLogLimits>
}

/**
 * Opens the log of a system on NATS JetStream: a stream for each source, made when something is first appended to it.
 *
 * Resolves also when no server can be reached, and goes on trying; until one is, calls are rejected with UNAVAILABLE.
 * Rejects with INVALID if the options make no sense. An append is as durable as the server's settings make it: unless
 * `sync_interval` is `always`, a server acknowledges what is not on disk yet. {@link Log.examine} reads them.
 */
export async function createNatsLog(options: NatsLogOptions): Promise<Log> {
  const {
    servers,
    system,
    host,
    logger = silentLogger,
    credentials,
    tls,
    replicas = 1,
    monitoring = [],
    limits,
  } = options
  assertSystemName(system)
  const settings = {
    servers: typeof servers === 'string' ? servers.split(',') : servers,
    name: `atoll ${system}`,
    credentials,
    tls,
    system,
    replicas,
    monitoring: typeof monitoring === 'string' ? [monitoring] : monitoring,
  }
  return openNatsLog(settings, host, logger, { ...defaultLimits, ...limits })
}
