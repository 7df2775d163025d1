import { AtollError } from '@atoll/host'
import type { GatewayResponse } from '../exchange.ts'
import type { GatewayLimits } from '../options.ts'
import type { Identified } from './identify.ts'
import type { Stage } from './stage.ts'

/** Refuses requests with OVERLOADED, before any work is done for them, while too many are under way. */
export function admission({ requestsInFlightMax }: Pick<GatewayLimits, 'requestsInFlightMax'>): Stage<Identified, Identified, GatewayResponse, GatewayResponse> {
  let inFlight = 0
  return (next) => async (exchange) => {
    if (inFlight >= requestsInFlightMax) throw new AtollError('OVERLOADED', `${requestsInFlightMax} requests are under way (requestsInFlightMax)`)
    inFlight++
    try {
      return await next(exchange)
    } finally {
      inFlight--
    }
  }
}
