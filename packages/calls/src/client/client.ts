import { AtollError, type Host, type Logger } from '@atoll/host'
import type { System } from 'atoll'
import type { Calls, Dispatch, Dispatched } from 'atoll/runtime'
import type { Discovery } from '../discovery/discovery.ts'
import { encodeCall } from '../protocol.ts'
import { choose } from './balance.ts'
import { RetryBudget } from './budget.ts'
import { Fault } from './fault.ts'
import { defaultClientLimits, type ClientLimits } from './limits.ts'
import { Peer } from './peer.ts'
import { Peers } from './peers.ts'

export interface CallClientOptions {
  readonly host: Host
  readonly logger: Logger
  readonly discovery: Discovery
  /** What the processes of the system share. */
  readonly secret?: string | undefined
  /** Only what differs from {@link defaultClientLimits}. */
  readonly limits?: Partial<ClientLimits> | undefined
}

/** Reaches the services that run in other processes. */
export interface CallClient extends Calls {
  /**
   * Whether all instances of a service that are known refuse the secret of this process, as far as they were asked or
   * called. False of a service without instances.
   */
  isRefusedBy(service: string): boolean
  /** Gives up what is under way, and closes all connections. The discovery stays the caller's. Idempotent. */
  close(): Promise<void>
}

/**
 * Makes the client through which a process calls the services of its system that run elsewhere.
 *
 * A call goes to one instance. It goes to another one if it certainly had no effect, or if it may be made twice
 * (queries, and commands with an Idempotency-Key), as far as the budget for retries and the deadline allow. A command
 * that may have had its effect is never made again: it is rejected with UNAVAILABLE, which says so.
 */
export function createCallClient(system: System, options: CallClientOptions): CallClient {
  return new HttpCallClient(system, options)
}

class HttpCallClient implements CallClient {
  readonly #system: System
  readonly #host: Host
  readonly #logger: Logger
  readonly #limits: ClientLimits
  readonly #budget: RetryBudget
  readonly #peers: Peers
  #spentToldMs = -Infinity

  constructor(system: System, options: CallClientOptions) {
    const { host, logger, discovery, secret } = options
    const limits = { ...defaultClientLimits, ...options.limits }
    this.#system = system
    this.#host = host
    this.#logger = logger
    this.#limits = limits
    this.#budget = new RetryBudget(host, limits.retryRatio, limits.retriesPerSecondMin)
    this.#peers = new Peers(
      system.services.map(({ name }) => name),
      discovery,
      logger,
      (instance, service) => new Peer(instance, service, host, logger, limits, secret),
    )
  }

  async dispatch(name: string, request: Dispatch): Promise<Dispatched> {
    const entry = this.#system.operations.get(name)
    if (!entry) throw new AtollError('NOT_FOUND', `system ${this.#system.name} has no operation ${name}`)
    if (request.signal?.aborted) throw new AtollError('CANCELLED', `${name}: the caller went away`)
    const call: Call = {
      name,
      service: entry.service.name,
      request: {
        ...request,
        answerBytesMax: Math.min(request.answerBytesMax ?? Infinity, this.#limits.answerBytesMax),
      },
      mayRepeat:
        entry.operation.kind === 'query' || (entry.operation.keepsAnswers && request.idempotencyKey !== undefined),
      deadlineMs: request.deadlineMs ?? this.#host.monotonicMs() + this.#limits.deadlineMs,
    }
    this.#budget.earn()
    return this.#make(call)
  }

  isRefusedBy(service: string): boolean {
    const peers = this.#peers.of(service)
    return peers.length > 0 && peers.every((peer) => peer.refusesSecret)
  }

  close(): Promise<void> {
    return this.#peers.close()
  }

  async #make(call: Call): Promise<Dispatched> {
    const tried = new Set<Peer>()
    let last: Fault | undefined
    for (;;) {
      const peers = this.#peers.of(call.service)
      const peer = choose(
        peers.filter((one) => !tried.has(one)),
        this.#host,
      )
      if (!peer) throw unanswered(call, last, peers)
      const nowMs = this.#host.monotonicMs()
      const remainingMs = call.deadlineMs - nowMs
      if (remainingMs <= 0)
        throw new AtollError('DEADLINE_EXCEEDED', `${call.name}: no time was left to call ${call.service}`)
      tried.add(peer)
      try {
        return await peer.send({
          operation: call.name,
          body: encodeCall(this.#system.name, call.request, remainingMs, nowMs),
          deadlineMs: call.deadlineMs,
          signal: call.request.signal,
          mayLeave: () => call.mayRepeat && this.#peers.of(call.service).some((one) => !tried.has(one) && !one.isOut),
        })
      } catch (thrown) {
        if (!(thrown instanceof Fault)) throw outcomeOf(call, thrown)
        last = thrown
        if (!this.#mayTryAgain(call, thrown, tried.size)) throw unanswered(call, last, peers)
      }
    }
  }

  #mayTryAgain(call: Call, fault: Fault, tries: number): boolean {
    if (!call.mayRepeat && !fault.hadNoEffect) return false
    if (tries >= this.#limits.triesMax) return false
    if (this.#budget.spend()) return true
    const now = this.#host.monotonicMs()
    if (now - this.#spentToldMs > SPENT_TOLD_MS) {
      this.#spentToldMs = now
      this.#logger.warn(
        { operation: call.name, fault: fault.message },
        'the budget for retries is spent: calls that fail are not tried again for now',
      )
    }
    return false
  }
}

interface Call {
  readonly name: string
  readonly service: string
  readonly request: Dispatch
  /** Whether it may be made twice without two effects. */
  readonly mayRepeat: boolean
  readonly deadlineMs: number
}

/** Why a call ends without an answer, in the words of the platform. */
function unanswered(call: Call, last: Fault | undefined, peers: readonly Peer[]): AtollError {
  const { name, service } = call
  if (!last && peers.length === 0)
    return new AtollError('UNAVAILABLE', `${name} cannot be reached: no instance of ${service} is known`)
  if (!last && peers.some((peer) => !peer.isOut))
    return new AtollError(
      'OVERLOADED',
      `${name} was refused: every instance of ${service} has as many calls from here as it takes (callsPerInstanceMax)`,
    )
  if (!last)
    return new AtollError(
      'UNAVAILABLE',
      `${name} cannot be reached: every instance of ${service} is left out (${peers.map((peer) => peer.why).join('; ')})`,
    )
  if (last.cause instanceof AtollError && last.cause.code === 'OVERLOADED') return last.cause
  if (last.hadNoEffect)
    return new AtollError('UNAVAILABLE', `${name} cannot be reached: ${last.message}. It had no effect`, {
      cause: last,
      details: { effect: 'none' },
    })
  if (call.mayRepeat)
    return new AtollError('UNAVAILABLE', `${name} was not answered: ${last.message}. It may be sent again as it is`, {
      cause: last,
    })
  return new AtollError(
    'UNAVAILABLE',
    `${name} was not answered: ${last.message}. Whether it had an effect is not known, and it was not sent again; use an Idempotency-Key to make that safe`,
    { cause: last, details: { effect: 'unknown' } },
  )
}

/** An error that is not the instance's fault, as the caller should see it. */
function outcomeOf(call: Call, thrown: unknown): AtollError {
  const error = AtollError.from(thrown)
  const isOpen =
    error.code === 'DEADLINE_EXCEEDED' || (error.code === 'ANSWER_TOO_LARGE' && error.details['effect'] === undefined)
  if (!isOpen || call.mayRepeat) return error
  return new AtollError(error.code, `${error.reason}. Whether it had an effect is not known`, {
    cause: error.cause,
    details: { effect: 'unknown' },
  })
}

const SPENT_TOLD_MS = 10_000
