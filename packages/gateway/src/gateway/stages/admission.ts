import { Places, type Place } from '@atoll/host/node'
import type { GatewayResponse } from '../exchange.ts'
import type { GatewayLimits } from '../options.ts'
import type { Identified } from './identify.ts'
import { note, type Stage } from './stage.ts'

export interface Admitted extends Identified {
  /** Among the requests under way. */
  readonly place: Place
}

/** Refuses requests with OVERLOADED, before any work is done for them, while too many are under way. */
export function admission({ requestsInFlightMax }: Pick<GatewayLimits, 'requestsInFlightMax'>): Stage<Identified, Admitted, GatewayResponse, GatewayResponse> {
  const places = new Places(requestsInFlightMax, 'requests are under way (requestsInFlightMax)')
  return (next) => async (exchange) => {
    const place = places.take()
    try {
      return await next(note(exchange, { place }))
    } finally {
      place.leave()
    }
  }
}
