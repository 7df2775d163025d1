import type { Host } from '@atoll/host'
import type { Caller } from 'atoll'
import { decodePosition, mergePositions, type Dispatched, type MaybeSeen, type Position } from 'atoll/runtime'
import { headerOf, type GatewayRequest } from '../exchange.ts'
import type { GatewayLimits, GatewayOptions } from '../options.ts'
import type { WithInput } from './read-input.ts'
import { PositionMemory } from './position-memory.ts'
import { note, type Stage } from './stage.ts'

/** What the caller has seen, and what it may have seen. */
export interface Positioned extends WithInput {
  readonly position: Position | undefined
  readonly maybeSeen: MaybeSeen | undefined
}

export interface PositionsOptions extends Pick<GatewayOptions, 'trustProxy'> {
  readonly host: Host
  readonly limits: Pick<GatewayLimits, 'positionsMax' | 'positionAgeMsMax' | 'addressWaitMs'>
}

/** Lets callers read what they have written: it remembers for them how far their commands got. */
export function positions(options: PositionsOptions): Stage<WithInput, Positioned, Dispatched, Dispatched> {
  const seen = new Seen(options)
  return (next) => async (exchange) => {
    const { request, caller } = exchange
    const dispatched = await next(
      note(exchange, { position: seen.by(request, caller), maybeSeen: seen.maybeBy(request) }),
    )
    if (exchange.target.operation.kind === 'command') seen.remember(request, caller, dispatched.position)
    if (dispatched.missed) seen.distrust(request)
    return dispatched
  }
}

class Seen {
  readonly #options: PositionsOptions
  /** By caller, and by address: who has many addresses must not make callers be forgotten. */
  readonly #callers: PositionMemory
  readonly #addresses: PositionMemory

  constructor(options: PositionsOptions) {
    const { host, limits } = options
    this.#options = options
    this.#callers = new PositionMemory(host, limits.positionsMax, limits.positionAgeMsMax)
    this.#addresses = new PositionMemory(host, limits.positionsMax, limits.positionAgeMsMax)
  }

  /** A request's caller says so itself, or has written it. */
  by({ headers }: GatewayRequest, caller: Caller | undefined): Position | undefined {
    const header = headerOf(headers['atoll-position'])
    const sent = header === undefined ? undefined : decodePosition(header)
    const remembered = caller && this.#callers.recall(caller.id)
    return sent && remembered ? mergePositions(sent, remembered) : (sent ?? remembered)
  }

  /** What was written from its address, by its caller before that one was known, or by a neighbour. */
  maybeBy(request: GatewayRequest): MaybeSeen | undefined {
    const { host, limits } = this.#options
    const position = this.#addresses.recall(this.#addressOf(request))
    return position && { position, untilMs: host.monotonicMs() + limits.addressWaitMs }
  }

  remember(request: GatewayRequest, caller: Caller | undefined, position: Position): void {
    if (Object.keys(position).length === 0) return
    this.#addresses.remember(this.#addressOf(request), position)
    if (caller) this.#callers.remember(caller.id, position)
  }

  /** What was written from its address was waited for in vain. */
  distrust(request: GatewayRequest): void {
    this.#addresses.distrust(this.#addressOf(request))
  }

  /**
   * The client's address. Entries before the last one came with the request to the proxy: anybody may have written
   * them.
   */
  #addressOf(request: GatewayRequest): string {
    const forwarded = this.#options.trustProxy ? request.headers['x-forwarded-for'] : undefined
    return (
      String(forwarded ?? '')
        .split(',')
        .at(-1)!
        .trim() || request.address
    )
  }
}
