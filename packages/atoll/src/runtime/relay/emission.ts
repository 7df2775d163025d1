import type { Host, Logger } from '@atoll/host'
import { isOrderBefore } from '@atoll/log/driver'
import type { Queries, Store } from '@atoll/store/driver'
import type { EventDefinition } from '../../contract/event.ts'
import type { BoundOperation } from '../../contract/operation.ts'
import { readEmitted, type Counts } from './counts.ts'
import { refusalOfOutdated, refusalOfUnagreed } from './history.ts'
import type { RuntimeOptions } from '../options.ts'
import type { OutboxEvent } from './outbox.ts'
import { emptyPosition, latestOf, type Position } from '../position.ts'
import type { Relay } from './relay.ts'
import { readStanding, readStandingAtMost, type Standing } from './standing.ts'
import type { Timers } from './timers.ts'

/** What a service may emit, and what its events must be like. */
export interface Emitter {
  readonly host: Host
  /** The service's. */
  readonly name: string
  readonly declared: ReadonlySet<EventDefinition>
  readonly partitions: number
  /** The most bytes of data that the log takes of one event. */
  readonly eventBytesMax: number
  /** For what may go wrong as often as somebody asks. */
  readonly faults: Pick<Logger, 'error'>
}

export interface EmissionParts {
  readonly emitter: Emitter
  readonly options: RuntimeOptions
  readonly store: Store
  readonly relay: Relay
  readonly timers: Timers
  readonly agreement: { readonly isReached: boolean }
  /** The service's own. */
  readonly standing: Standing
}

/** What a commit brought. */
interface Committed {
  readonly position: Position
  readonly events: readonly OutboxEvent[]
  /** Whether timers were set. */
  readonly timers: boolean
}

/** What a service emits: whether it may, how far it has got, and who goes on with what has been committed. */
export class Emission {
  readonly emitter: Emitter
  readonly #parts: EmissionParts
  #committedOrder = '0'

  constructor(parts: EmissionParts) {
    this.emitter = parts.emitter
    this.#parts = parts
  }

  /** Throws where what a command emits would be lost, or be skipped by who has passed its number. */
  assertMayEmit({ name }: BoundOperation): void {
    const { relay, agreement, options } = this.#parts
    if (relay.isOutdated && options.commandsWhenOutdated === 'refuse') throw refusalOfOutdated(name, this.emitter.name)
    if (!agreement.isReached) throw refusalOfUnagreed(name, this.emitter.name)
  }

  /** These have committed: tells the relay and the timers. */
  committed({ position, events, timers }: Committed): void {
    const own = position[this.emitter.name]
    for (const partition in own) this.#note(partition, own[Number(partition)]!)
    if (events.length > 0) this.#parts.relay.offer(events)
    if (timers) this.#parts.timers.wake()
  }

  /** The last commit here that emitted, as an order token. */
  get committedOrder(): string {
    return this.#committedOrder
  }

  /** Notes how far the store says that the service has got. */
  async load(): Promise<void> {
    for (const [partition, orders] of Object.entries(await readStanding(this.#parts.store.reader)))
      this.#note(partition, orders)
  }

  /** How far the service had got, as `queries` sees it. */
  async standing(queries: Queries): Promise<Position> {
    const { declared, name } = this.emitter
    if (declared.size === 0) return emptyPosition
    const orders = await readStanding(queries)
    return Object.keys(orders).length === 0 ? emptyPosition : { [name]: orders }
  }

  /** Up to where any instance may have emitted, by partition. */
  atMost(): Promise<Readonly<Record<number, string>>> {
    return readStandingAtMost(this.#parts.store.reader, this.emitter.partitions)
  }

  /** How many events of each type the service has emitted; null while its store is older than the log. */
  async count(): Promise<Counts | null> {
    return this.#parts.relay.isOutdated ? null : readEmitted(this.#parts.store.reader)
  }

  #note(partition: string, orders: string): void {
    this.#parts.standing.note(Number(partition), orders)
    const latest = latestOf(orders)
    if (isOrderBefore(this.#committedOrder, latest)) this.#committedOrder = latest
  }
}
