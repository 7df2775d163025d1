import { AtollError, type Host } from '@atoll/host'
import type { Caller } from 'atoll'
import { runAttributed } from 'atoll/runtime'
import { headerOf, type GatewayResponse } from '../exchange.ts'
import type { GatewayOptions } from '../options.ts'
import type { Routed } from './route.ts'
import { note, type Stage } from './stage.ts'

export interface Authenticated extends Routed {
  /** Undefined where the operation knows no callers, or takes a stranger. */
  readonly caller: Caller | undefined
  /** How long it took to know that, milliseconds: it counts against the deadline. */
  readonly authenticationMs: number
}

export interface AuthenticateOptions extends Pick<GatewayOptions, 'authenticate' | 'attribution' | 'logger'> {
  readonly host: Host
  readonly deadlineMs: number
}

/**
 * Finds out who asks, from the Authorization header. UNAUTHENTICATED for a token that is not good, and where one is
 * needed and missing.
 */
export function authenticate(
  options: AuthenticateOptions,
): Stage<Routed, Authenticated, GatewayResponse, GatewayResponse> {
  const { host } = options
  return (next) => async (exchange) => {
    const { auth } = exchange.target.operation
    if (auth === 'none') return next(note(exchange, { caller: undefined, authenticationMs: 0 }))
    const begunMs = host.monotonicMs()
    const { requestId } = exchange
    const caller = await callerOf(
      headerOf(exchange.request.headers['authorization']),
      auth === 'user',
      requestId,
      options,
    )
    return next(note(exchange, { caller, authenticationMs: host.monotonicMs() - begunMs }))
  }
}

async function callerOf(
  header: string | undefined,
  isRequired: boolean,
  requestId: string,
  options: AuthenticateOptions,
): Promise<Caller | undefined> {
  if (header === undefined) {
    if (isRequired)
      throw new AtollError('UNAUTHENTICATED', 'the Authorization header is missing', {
        details: { fields: { token: ['is missing'] } },
      })
    return undefined
  }
  const token = /^(?:bearer|token)\s+(\S+)\s*$/i.exec(header)?.[1]
  const caller = token === undefined ? undefined : await inTime(holderOf(token, requestId, options), options)
  if (!caller)
    throw new AtollError('UNAUTHENTICATED', 'the token is not valid, or has expired', {
      details: { fields: { token: ['is invalid'] } },
    })
  return caller
}

/** Who a caller is must be known within the deadline of what it asks for. */
async function inTime<T>(asked: Promise<T>, { host, deadlineMs }: AuthenticateOptions): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = host.after(deadlineMs, () =>
    late.reject(new AtollError('DEADLINE_EXCEEDED', 'authentication took too long (deadlineMs)')),
  )
  try {
    return await Promise.race([asked, late.promise])
  } finally {
    timer.cancel()
  }
}

/**
 * Undefined also where `authenticate` throws, at once or later. A token that cannot be checked now is not refused: a
 * client that gets 401 logs its user out.
 */
async function holderOf(
  token: string,
  requestId: string,
  { authenticate, attribution, logger }: AuthenticateOptions,
): Promise<Caller | undefined> {
  try {
    return await runAttributed(attribution, logger, { handling: 'authenticate', requestId }, () =>
      authenticate?.(token),
    )
  } catch (thrown) {
    const error = AtollError.from(thrown)
    if (error.retryable) throw error
    return undefined
  }
}
