import { AtollError } from '@atoll/host'
import type { Fleet } from './fleet.ts'
import type { SharedLog } from './log.ts'
import type { KeptStore, KeptStores, SharedStores } from './stores.ts'

/**
 * What a world had in one moment: of each part, all that was in it. A part is a service, which is its store and those
 * of its projections, one projection alone (`mail.counts`), or the `log`.
 */
export interface Backup {
  readonly parts: readonly string[]
  /** When it was taken, milliseconds since the world began. */
  readonly takenMs: number
}

interface Kept extends Backup {
  readonly stores: KeptStores
  readonly log: Uint8Array | undefined
}

/** Keeps what a world has, and puts it back: a backup that is restored, in part or whole, and a disk that is lost. */
export class Backups {
  readonly #stores: SharedStores
  readonly #log: SharedLog
  readonly #fleet: Fleet

  constructor(stores: SharedStores, log: SharedLog, fleet: Fleet) {
    this.#stores = stores
    this.#log = log
    this.#fleet = fleet
  }

  /** Undefined in the midst of a commit of any part: what is kept is of one moment. */
  take(parts: readonly string[], takenMs: number): Backup | undefined {
    const wanted = parts.length > 0 ? parts : [...this.#fleet.system.services.map(({ name }) => name), LOG]
    const stores: [string, KeptStore][] = []
    for (const part of wanted) {
      if (!this.#isStores(part)) continue
      const kept = this.#stores.keep(part)
      if (!kept) return undefined
      stores.push(...kept)
    }
    const log = wanted.includes(LOG) ? this.#log.copy() : undefined
    if (wanted.includes(LOG) && !log) return undefined
    const kept: Kept = { parts: wanted, takenMs, stores: new Map(stores), log }
    return kept
  }

  async restore(backup: Backup, parts: readonly string[]): Promise<void> {
    const { stores, log } = backup as Kept // made above, and by nobody else
    for (const part of parts) {
      if (backup.parts.some((kept) => kept === part || part.startsWith(`${kept}.`))) continue
      throw new AtollError('COMMAND_USAGE', `the backup has no ${part}; it has ${backup.parts.join(', ')}`)
    }
    await this.#replace(parts.length > 0 ? parts : backup.parts, stores, log)
  }

  lose(parts: readonly string[]): Promise<void> {
    return this.#replace(parts, new Map(), undefined)
  }

  async #replace(parts: readonly string[], stores: KeptStores, log: Uint8Array | undefined): Promise<void> {
    for (const part of parts) this.#assertDown(part)
    for (const part of parts) {
      if (part === LOG) await this.#log.replace(log)
      else await this.#stores.putBack(part, stores)
    }
  }

  /** Whether a part is stores, and not the log. DEFINITION_INVALID if it is neither. */
  #isStores(part: string): boolean {
    if (part === LOG) return false
    const { subscriptions } = this.#fleet.system
    if (subscriptions.some(({ name, projection }) => projection !== undefined && name === part)) return true
    return this.#fleet.of(part) !== undefined // which names those that there are, if there is none of this name
  }

  #assertDown(part: string): void {
    const [service = part] = part.split('.')
    const users = this.#isStores(part) ? this.#fleet.of(service) : this.#fleet.all
    const [first] = users
    if (first)
      throw new AtollError(
        'DATA_IN_USE',
        `${part} cannot be replaced: ${first.actor.name} has it open. Stop what uses it before (world.stop, crash or powerLoss), and start it afterwards`,
      )
  }
}

/** The part that is no service. */
const LOG = 'log'
