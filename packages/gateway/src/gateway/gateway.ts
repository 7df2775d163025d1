import { AtollError } from '@atoll/host'
import type { Caller, ErrorShape } from 'atoll'
import { decodePosition, isTrace, mergePositions, newTrace, type Dispatch, type MaybeSeen, type Position, type RunningSystem } from 'atoll/runtime'
import { toAnswer } from './answer.ts'
import { readBody } from './body.ts'
import { readCondition, readIfNew, underIfMatch } from './conditions.ts'
import { allowMethods, allowOrigin } from './cors.ts'
import { assertExactTexts } from './exact.ts'
import { headerOf, type GatewayRequest, type GatewayResponse } from './exchange.ts'
import { toHealth } from './health.ts'
import { toInput } from './input.ts'
import { Listener } from './listener.ts'
import { defaultLimits, type GatewayLimits, type GatewayOptions } from './options.ts'
import { PositionMemory } from './position-memory.ts'
import { toResponse } from './problem.ts'
import { Routes, type Match } from './routes.ts'
import { pathOf, toTarget } from './target.ts'

/** The HTTP edge of a running system. */
export interface Gateway {
  /** Answers one request. Never rejects. Needs no socket, so a test or a simulation can use it as it is. */
  handle(request: GatewayRequest): Promise<GatewayResponse>
  /** Listens for HTTP/1.1. `port` 0 takes a free one. PORT_TAKEN if the port is. */
  listen(at: { port: number; host?: string }): Promise<{ url: string }>
  /** Takes no more connections, lets requests under way end, `drainMs` at the most, and closes. Idempotent. */
  close(options?: { drainMs?: number }): Promise<void>
}

/** What a gateway needs of the system behind it. */
export type Served = Pick<RunningSystem, 'system' | 'dispatch' | 'readiness'>

/** Makes the gateway of a system from its contracts: routes, authentication, limits, causal reads, errors. */
export function createGateway(running: Served, options: GatewayOptions): Gateway {
  return new SystemGateway(running, options)
}

class SystemGateway implements Gateway {
  readonly #running: Served
  readonly #options: GatewayOptions
  readonly #limits: GatewayLimits
  readonly #routes: Routes
  /** By caller, and by address: who has many addresses must not make callers be forgotten. */
  readonly #callers: PositionMemory
  readonly #addresses: PositionMemory
  readonly #listener: Listener
  #inFlight = 0
  /** Requests refused with OVERLOADED since that was last told. */
  #refused = 0
  #refusedToldMs = -Infinity
  #draining = false

  constructor(running: Served, options: GatewayOptions) {
    this.#running = running
    this.#options = options
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#routes = new Routes(running.system, options.basePath ?? '')
    this.#callers = new PositionMemory(options.host, this.#limits.positionsMax, this.#limits.positionAgeMsMax)
    this.#addresses = new PositionMemory(options.host, this.#limits.positionsMax, this.#limits.positionAgeMsMax)
    this.#listener = new Listener(this.#limits, options.logger, (request) => this.handle(request))
  }

  listen(at: { port: number; host?: string }): Promise<{ url: string }> {
    return this.#listener.listen(at.port, at.host ?? '127.0.0.1')
  }

  async close({ drainMs = 10_000 }: { drainMs?: number } = {}): Promise<void> {
    this.#draining = true
    await this.#listener.close(drainMs)
  }

  async handle(request: GatewayRequest): Promise<GatewayResponse> {
    const requestId = requestIdOf(request) ?? this.#options.host.uuid()
    let url = request.url
    let match: Match | undefined
    let response: GatewayResponse
    this.#inFlight++
    try {
      url = toTarget(request.url)
      const health = toHealth(pathOf(url), headerOf(request.headers['authorization']), () => this.#running.readiness(), { own: this.#draining ? ['the gateway is draining'] : [], secret: this.#options.secret })
      if (health) return health
      if (this.#inFlight > this.#limits.requestsInFlightMax) {
        throw new AtollError('OVERLOADED', `${this.#limits.requestsInFlightMax} requests are under way (requestsInFlightMax)`)
      }
      if (request.method === 'OPTIONS') response = this.#preflight(request, url)
      else {
        match = this.#routes.find(request.method, url) ?? this.#refuseRoute(request.method, url)
        response = await this.#answer(request, match, requestId)
      }
    } catch (error) {
      this.#report(error, requestId, match)
      response = this.#refuse(error, requestId, match, match?.target.errors)
      if (AtollError.from(error).code === 'METHOD_NOT_ALLOWED') response.headers['allow'] = this.#routes.allowed(url).join(', ')
    } finally {
      this.#inFlight--
    }
    response.headers['x-request-id'] = requestId
    response.headers['x-content-type-options'] = 'nosniff'
    if (this.#options.cors) allowOrigin(this.#options.cors, headerOf(request.headers['origin']), response.headers)
    return response
  }

  async #answer(request: GatewayRequest, { target, params, query }: Match, requestId: string): Promise<GatewayResponse> {
    const { operation } = target
    const { headers } = request
    const { host } = this.#options
    const isCommand = operation.kind === 'command'
    const begunMs = host.monotonicMs()
    const caller = operation.auth === 'none' ? undefined : await this.#callerOf(request, operation.auth === 'user')
    const askedMs = host.monotonicMs() - begunMs
    const body = request.method === 'GET' || request.method === 'HEAD' ? undefined : await readBody(request, this.#limits)
    const input = toInput(query, body, params)
    assertExactTexts(input, target.numbers)
    const asked: Dispatch = {
      input,
      isFromClient: true,
      caller,
      position: this.#positionOf(request, caller),
      maybeSeen: this.#maybeSeenBy(request),
      deadlineMs: host.monotonicMs() + this.#limits.deadlineMs - askedMs,
      signal: request.signal(),
      idempotencyKey: isCommand ? idempotencyKeyOf(headers['idempotency-key']) : undefined,
      trace: traceOf(headers['traceparent']) ?? newTrace(host),
      requestId,
      show: true,
      answerBytesMax: this.#limits.answerBytesMax,
    }
    const ifMatch = isCommand ? readCondition('If-Match', headerOf(headers['if-match'])) : undefined
    const ifNoneMatch = isCommand ? readIfNew(headerOf(headers['if-none-match'])) : undefined
    const dispatched = await underIfMatch(ifMatch, (version) => this.#running.dispatch(operation.name, { ...asked, ifMatch: version, ifNoneMatch }))
    if (isCommand) this.#remember(request, caller, dispatched.position)
    if (dispatched.missed) this.#addresses.distrust(this.#addressOf(request))
    return toAnswer(request, operation, dispatched, { bytesMax: this.#limits.answerBytesMax, digest: (text) => host.digest(text) })
  }

  #refuseRoute(method: string, url: string): never {
    const allowed = this.#routes.allowed(url)
    if (allowed.length === 0) throw new AtollError('NOT_FOUND', `there is nothing at ${pathOf(url)}`)
    throw new AtollError('METHOD_NOT_ALLOWED', `${pathOf(url)} does not know ${method}; it knows ${allowed.join(', ')}`)
  }

  async #callerOf(request: GatewayRequest, required: boolean): Promise<Caller | undefined> {
    const header = headerOf(request.headers['authorization'])
    if (header === undefined) {
      if (required) throw new AtollError('UNAUTHENTICATED', 'the Authorization header is missing', { details: { fields: { token: ['is missing'] } } })
      return undefined
    }
    const token = /^(?:bearer|token)\s+(\S+)\s*$/i.exec(header)?.[1]
    const caller = token === undefined ? undefined : await this.#inTime(this.#options.authenticate?.(token).catch(unlessUnknown))
    if (!caller) throw new AtollError('UNAUTHENTICATED', 'the token is not valid, or no longer', { details: { fields: { token: ['is invalid'] } } })
    return caller
  }

  /** Who a caller is must be known within the deadline of what it asks for. */
  async #inTime<T>(asked: Promise<T> | undefined): Promise<T | undefined> {
    if (!asked) return undefined
    const { host } = this.#options
    const late = Promise.withResolvers<never>()
    const timer = host.after(this.#limits.deadlineMs, () => late.reject(new AtollError('DEADLINE_EXCEEDED', 'nobody could say in time who holds the token (deadlineMs)')))
    try {
      return await Promise.race([asked, late.promise])
    } finally {
      timer.cancel()
    }
  }

  /** What a request's caller has seen: it says so itself, or has written it. */
  #positionOf(request: GatewayRequest, caller: Caller | undefined): Position | undefined {
    const header = headerOf(request.headers['atoll-position'])
    const sent = header === undefined ? undefined : decodePosition(header)
    const remembered = caller && this.#callers.recall(caller.id)
    return sent && remembered ? mergePositions(sent, remembered) : (sent ?? remembered)
  }

  /** What was written from its address, by its caller before that one was known, or by a neighbour. */
  #maybeSeenBy(request: GatewayRequest): MaybeSeen | undefined {
    const position = this.#addresses.recall(this.#addressOf(request))
    return position && { position, untilMs: this.#options.host.monotonicMs() + this.#limits.addressWaitMs }
  }

  #remember(request: GatewayRequest, caller: Caller | undefined, position: Position): void {
    if (Object.keys(position).length === 0) return
    this.#addresses.remember(this.#addressOf(request), position)
    if (caller) this.#callers.remember(caller.id, position)
  }

  /** The client's address. Entries before the last one came with the request to the proxy: anybody may have written them. */
  #addressOf(request: GatewayRequest): string {
    const forwarded = this.#options.trustProxy ? request.headers['x-forwarded-for'] : undefined
    return String(forwarded ?? '').split(',').at(-1)!.trim() || request.address
  }

  #report(error: unknown, requestId: string, match: Match | undefined): void {
    const failure = AtollError.from(error)
    if (failure.status < 500 || (failure.code === 'OVERLOADED' && !this.#mayTellOfRefusal())) return
    const refused = failure.code === 'OVERLOADED' ? { refused: this.#refused } : {}
    this.#options.logger.error({ requestId, operation: match?.target.operation.name, ...refused, error: failure }, `request failed: ${failure.code}`)
    if (failure.code === 'OVERLOADED') this.#refused = 0
  }

  /** Of refusals there are as many as somebody sends: now and then one is told, with how many there were. */
  #mayTellOfRefusal(): boolean {
    this.#refused++
    const now = this.#options.host.monotonicMs()
    if (now - this.#refusedToldMs < REFUSAL_TOLD_MS) return false
    this.#refusedToldMs = now
    return true
  }

  /** An error as an answer. What a service's author wrote may fail here too: the words of the contract, or details that are not JSON. */
  #refuse(error: unknown, requestId: string, match: Match | undefined, shape: ErrorShape | undefined): GatewayResponse {
    try {
      return toResponse(error, requestId, shape)
    } catch (unworded) {
      this.#report(unworded, requestId, match)
      return shape ? this.#refuse(error, requestId, match, undefined) : toResponse(unworded, requestId, undefined)
    }
  }

  /** A preflight of CORS, or a question which methods a path has. */
  #preflight(request: GatewayRequest, url: string): GatewayResponse {
    const allowed = this.#routes.allowed(url)
    if (allowed.length === 0) this.#refuseRoute(request.method, url)
    const methods = [...allowed, 'OPTIONS'].join(', ')
    const headers: Record<string, string> = { allow: methods }
    if (this.#options.cors && request.headers['origin'] !== undefined) allowMethods(methods, headers)
    return { status: 204, headers, body: undefined }
  }
}

function requestIdOf(request: GatewayRequest): string | undefined {
  const sent = headerOf(request.headers['x-request-id'])
  return sent !== undefined && /^[A-Za-z0-9._-]{1,64}$/.test(sent) ? sent : undefined
}

function traceOf(header: string | string[] | undefined): string | undefined {
  const sent = headerOf(header)
  return sent !== undefined && isTrace(sent) ? sent : undefined
}

function idempotencyKeyOf(header: string | string[] | undefined): string | undefined {
  const key = headerOf(header)
  if (key === undefined) return undefined
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) throw new AtollError('MALFORMED', 'Idempotency-Key must be 1 to 255 visible characters')
  return key
}

/** A token of which nobody can say now whether it is good is not refused: whoever hears 401 logs out. */
function unlessUnknown(thrown: unknown): undefined {
  const error = AtollError.from(thrown)
  if (error.retryable) throw error
}

/** How often the log tells of requests that were refused because there are too many, milliseconds. */
const REFUSAL_TOLD_MS = 1_000
