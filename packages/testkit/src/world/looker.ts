import { silentLogger, type Logger } from '@atoll/host'
import type { StoredRecord } from '@atoll/log/driver'
import type { EventDefinition } from 'atoll'
import { openSystem, type Admin, type LedgerRow, type Readiness } from 'atoll/runtime'
import type { Kysely } from 'kysely'
import type { Actor } from './actor.ts'
import type { Fleet } from './fleet.ts'
import type { InstanceGround } from './instance.ts'
import type { Logged } from './options.ts'
import type { Passenger } from './passage.ts'
import { storesOf } from './stores.ts'

/** What may be seen of a world in one moment, in which nothing moves. */
export interface Glimpse {
  ledger(): Promise<LedgerRow[]>
  /** The events in the log; of one definition, if asked for. */
  events(event?: EventDefinition): Promise<StoredRecord[]>
  /** Whether every service is up and can do its work; if not, why. */
  readiness(): Readiness
  /** Committed state of a service's own store. */
  db<Tables>(service: string): Kysely<Tables>
  /** Milliseconds since the world began. */
  elapsedMs(): number
}

/** Looks at a system from beside, as its administrator does: whatever runs goes on, and no fault meets who looks. */
export class Looker {
  readonly #fleet: Fleet
  readonly #passenger: Passenger
  readonly #ground: InstanceGround

  constructor(fleet: Fleet, actor: Actor, ground: InstanceGround) {
    this.#fleet = fleet
    this.#ground = ground
    this.#passenger = { actor, service: 'looker', surroundings: actor.host, passes: () => undefined, crash: () => {} }
  }

  async look<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const { stores, log, runtime } = this.#ground
    const opened = await openSystem(
      this.#fleet.system,
      { host: this.#passenger.actor.host, stores: storesOf(this.#passenger, stores), log, logger: silentLogger },
      runtime,
    )
    try {
      return await work(opened.admin)
    } finally {
      await opened.close()
    }
  }

  /** What is pending between services that are up, in words. */
  async pending(): Promise<string[]> {
    const serviceOf = (subscription: string): string => subscription.split('.')[0]!
    const rows = await this.look((admin) => admin.ledger())
    return rows
      .filter((row) => row.pending > 0 && this.#fleet.isUp(row.source) && this.#fleet.isUp(serviceOf(row.subscription)))
      .map((row) => `${row.pending} of ${row.event} pending in ${row.subscription}`)
  }
}

/** Keeps what is logged, in the order in which it is. */
export function createKeepingLogger(logged: Logged[]): Logger {
  const at =
    (level: Logged['level']): Logger['info'] =>
    (fields, message) =>
      void logged.push({ level, message, fields })
  return { info: at('info'), warn: at('warn'), error: at('error') }
}
