import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findPorts, oneNode } from '@atoll/engines'
import { Violation } from '../crash/round.ts'
import type { App } from './app.ts'
import { PARTITIONS, startEngines, stopEngines, type Engines, type LogName } from './engines.ts'
import { Member } from './member.ts'

/**
 * A system as separate processes on PostgreSQL and an engine for the log: its services in groups, each group twice, and
 * a gateway.
 */
export class Cluster {
  readonly app: App
  readonly folder: string
  /** How long it may take to be ready again. */
  readonly recoveryMs: number
  readonly log: LogName
  members: Member[] = []
  /** Where the gateway is, without the API's base path. */
  gatewayUrl = ''
  readonly #secret = randomBytes(32).toString('hex')
  #engines: Engines | undefined
  #gateway: Member | undefined

  constructor(app: App, log: LogName, folder: string, recoveryMs: number = RECOVERY_MS) {
    this.recoveryMs = recoveryMs
    this.app = app
    this.log = log
    this.folder = folder
  }

  async start(): Promise<void> {
    mkdirSync(this.folder, { recursive: true })
    this.#engines = await startEngines(this.log, this.folder)
    const places = this.app.groups.flatMap((services) =>
      [1, 2].map((instance) => ({ services, name: `${services[0]}-${instance}` })),
    )
    const first = await findPorts(places.length + 1) // they are free again whenever a process is started again
    const addresses: Record<string, string[]> = {}
    for (const [index, { services }] of places.entries())
      for (const service of services) (addresses[service] ??= []).push(`http://127.0.0.1:${first + index}`)
    this.members = places.map(({ services, name }, index) => {
      const config = this.#configure(name, first + index, addresses)
      return new Member(name, `http://127.0.0.1:${first + index}`, this.#secret, [
        this.app.module,
        '--config',
        config,
        ...services.flatMap((service) => ['--service', service]),
      ])
    })
    const port = first + places.length
    this.gatewayUrl = `http://127.0.0.1:${port}`
    this.#gateway = new Member('gateway', this.gatewayUrl, this.#secret, [
      this.app.module,
      '--config',
      this.#configure('gateway', undefined, addresses),
      '--gateway',
      '--port',
      String(port),
    ])
    for (const member of [...this.members, this.gateway]) member.start()
    await this.allReady(Math.max(START_MS, this.recoveryMs))
  }

  /** Once it has been started. */
  get engines(): Engines {
    return this.#engines!
  }

  /** Once it has been started. */
  get gateway(): Member {
    return this.#gateway!
  }

  /** Resolves when every process is ready. Throws a {@link Violation} if one is not within the bound. */
  async allReady(boundMs: number): Promise<void> {
    await Promise.all(
      [...this.members, this.gateway].map(async (member) => {
        if (!(await member.ready(boundMs)))
          throw new Violation(
            `${member.name} was not ready after ${boundMs} ms: ${await member.state()}; it said: ${member.err.slice(-2_000)}`,
          )
      }),
    )
  }

  async stop(keep: boolean): Promise<void> {
    const members = this.#gateway ? [...this.members, this.#gateway] : this.members
    await Promise.all(members.map((member) => (member.signal('SIGCONT'), member.end('SIGKILL'))))
    if (this.#engines) await stopEngines(this.#engines)
    if (!keep) rmSync(this.folder, { recursive: true, force: true })
  }

  #configure(
    instance: string,
    port: number | undefined,
    addresses: Readonly<Record<string, readonly string[]>>,
  ): string {
    const file = join(this.folder, `${instance}.json`)
    const { log, accept } = oneNode[this.log]
    const config = {
      instance,
      store: { url: this.engines.stores.url },
      log: { url: this.engines.log.url, ...log },
      discovery: { static: addresses },
      accept,
      runtime: { leaseMs: LEASE_MS, deadlineMs: 5_000, causalWaitMs: 3_000, lookMs: 500, partitions: PARTITIONS },
      calls: { secret: this.#secret, ...(port !== undefined && { port }) },
    }
    writeFileSync(file, JSON.stringify(config, null, 2), { mode: 0o600 })
    return file
  }

  /** What each process says of its state. */
  states(): Promise<string[]> {
    return Promise.all([...this.members, this.gateway].map(async (member) => `${member.name}: ${await member.state()}`))
  }

  /**
   * What its processes have ever said that somebody would be woken up for. Outages are no cause for it: nothing is
   * lost.
   */
  alarms(): string[] {
    return [...this.members, this.gateway].flatMap(({ name, alarms }) =>
      alarms.map((line) => `${name} gave an alarm: ${line.slice(0, 500)}`),
    )
  }

  /** What its processes have said of late. */
  said(): string {
    return [...this.members, this.gateway]
      .map((member) => `${member.name} said: ${member.err.slice(-1_500)}`)
      .join('\n')
  }
}

/** Short, so that a pause outlasts it soon. */
export const LEASE_MS = 2_000
/** How long a system may take to come to rest once nothing befalls it any more: the stated bound. */
export const RECOVERY_MS = 30_000
const START_MS = 60_000
