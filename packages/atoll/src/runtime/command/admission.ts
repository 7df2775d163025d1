import { AtollError, type Host } from '@atoll/host'
import type { BoundOperation } from '../../contract/operation.ts'
import { endsWithin } from '../deadline.ts'
import type { RunningService } from '../running.ts'

/** Who asks for an operation. */
export type Asker = 'outside' | 'handler'

/** Lets operations of one service in, as long as it takes some and there is room, and knows how many are under way. */
export class Admission {
  /** Whom the service takes operations from. */
  accepts: 'everybody' | 'handlers' | 'nobody' = 'nobody'
  /** The service's, for those who are refused to hear. */
  state: RunningService['state'] = 'stopped'
  readonly #service: string
  readonly #host: Host
  readonly #inFlightMax: number
  #underWay = 0
  /** Of those, by kind: however many read, there is room for those who write. */
  readonly #ofKind = { command: 0, query: 0 }
  /** Of those, the ones that no handler called. */
  #fromOutside = 0
  /** Told when an operation has ended. */
  #onEnded: (() => void)[] = []

  constructor(service: string, host: Host, inFlightMax: number) {
    this.#service = service
    this.#host = host
    this.#inFlightMax = inFlightMax
  }

  get underWay(): number {
    return this.#underWay
  }

  get fromOutside(): number {
    return this.#fromOutside
  }

  /** Throws UNAVAILABLE or OVERLOADED. Call {@link leave} once for each that was let in. */
  enter({ name, kind }: BoundOperation, asker: Asker): void {
    if (this.accepts !== 'everybody' && !(this.accepts === 'handlers' && asker === 'handler')) {
      throw new AtollError('UNAVAILABLE', `${name} cannot run: service ${this.#service} is ${this.state}`)
    }
    if (this.#ofKind[kind] >= this.#inFlightMax) {
      throw new AtollError(
        'OVERLOADED',
        `${name} was refused: service ${this.#service} has ${this.#ofKind[kind]} operations of its kind under way (operationsInFlightMax)`,
      )
    }
    this.#ofKind[kind]++
    this.#underWay++
    if (asker === 'outside') this.#fromOutside++
  }

  leave({ kind }: BoundOperation, asker: Asker): void {
    this.#ofKind[kind]--
    this.#underWay--
    if (asker === 'outside') this.#fromOutside--
    if (this.#onEnded.length > 0) for (const look of this.#onEnded.splice(0)) look()
  }

  /** Resolves with true when operations have ended so far that `enough` holds; with false when the time is up. */
  async ended(untilMs: number, enough: () => boolean): Promise<boolean> {
    while (!enough()) {
      const next = new Promise<void>((resolve) => this.#onEnded.push(resolve))
      if (!(await endsWithin(this.#host, untilMs - this.#host.monotonicMs(), next))) return enough()
    }
    return true
  }
}
