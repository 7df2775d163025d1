import type { Host } from '@atoll/host'
import { isTrace, newTrace } from 'atoll/runtime'
import { headerOf, type GatewayRequest, type GatewayResponse } from '../exchange.ts'
import { note, type Stage } from './stage.ts'

/** What is known of a request at first. */
export interface Incoming {
  readonly request: GatewayRequest
}

export interface Identified extends Incoming {
  /** The client's own, if it sent a valid one. */
  readonly requestId: string
  /** The client's span (W3C traceparent), if it sent one; otherwise a new trace. */
  readonly trace: string
}

/** Gives each request an id and a trace, which the log and everything that it causes carry; its answer says the id. */
export function identify(host: Host): Stage<Incoming, Identified, GatewayResponse, GatewayResponse> {
  return (next) => async (exchange) => {
    const requestId = sentId(exchange.request) ?? host.uuid()
    const trace = sentTrace(exchange.request) ?? newTrace(host)
    const response = await next(note(exchange, { requestId, trace }))
    response.headers['x-request-id'] = requestId
    response.headers['x-content-type-options'] = 'nosniff'
    return response
  }
}

function sentId({ headers }: GatewayRequest): string | undefined {
  const sent = headerOf(headers['x-request-id'])
  return sent !== undefined && /^[A-Za-z0-9._-]{1,64}$/.test(sent) ? sent : undefined
}

function sentTrace({ headers }: GatewayRequest): string | undefined {
  const sent = headerOf(headers['traceparent'])
  return sent !== undefined && isTrace(sent) ? sent : undefined
}
