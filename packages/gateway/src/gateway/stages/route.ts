import { AtollError } from '@atoll/host'
import type { GatewayResponse } from '../exchange.ts'
import type { Admitted } from './admission.ts'
import { toResponse } from './problem.ts'
import type { Match, Routes } from './routes.ts'
import { note, type Stage } from './stage.ts'
import { pathOf, toTarget } from './target.ts'

/** What a request is for, and what its path and query string say. */
export interface Routed extends Admitted, Match {}

/** Finds the operation that a request is for. Answers by itself which methods a path has, and that there is nothing. */
export function route(routes: Routes): Stage<Admitted, Routed, GatewayResponse, GatewayResponse> {
  return (next) => async (exchange) => {
    const { method } = exchange.request
    const url = toTarget(exchange.request.url)
    const match = method === 'OPTIONS' ? undefined : routes.find(method, url)
    if (match) return next(note(exchange, match))
    const allowed = routes.allowed(url)
    if (allowed.length === 0) throw new AtollError('NOT_FOUND', `there is nothing at ${pathOf(url)}`)
    if (method === 'OPTIONS')
      return { status: 204, headers: { allow: [...allowed, 'OPTIONS'].join(', ') }, body: undefined }
    const refusal = toResponse(
      new AtollError('METHOD_NOT_ALLOWED', `${pathOf(url)} does not know ${method}; it knows ${allowed.join(', ')}`),
      exchange.requestId,
      undefined,
    )
    refusal.headers['allow'] = allowed.join(', ')
    return refusal
  }
}
