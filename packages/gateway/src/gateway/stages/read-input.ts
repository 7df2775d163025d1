import type { GatewayResponse } from '../exchange.ts'
import type { Authenticated } from './authenticate.ts'
import { readBody, type BodyLimits } from './body.ts'
import { assertExactTexts } from './exact.ts'
import { toInput } from './input.ts'
import { note, type Stage } from './stage.ts'

export interface WithInput extends Authenticated {
  /** Of the operation, as it was sent: path over body over query string. */
  readonly input: Record<string, unknown>
}

/** Reads what the operation is given. Only now: nobody's body is read for a request that is refused anyway. */
export function readInput(limits: BodyLimits): Stage<Authenticated, WithInput, GatewayResponse, GatewayResponse> {
  return (next) => async (exchange) => {
    const { request, permit, target, params, query } = exchange
    const body =
      request.method === 'GET' || request.method === 'HEAD'
        ? undefined
        : await permit.whileAwaiting(readBody(request, limits))
    const input = toInput(query, body, params)
    assertExactTexts(input, target.numbers)
    return next(note(exchange, { input }))
  }
}
