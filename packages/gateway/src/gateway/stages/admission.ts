import type { Host } from '@atoll/host'
import { Permits, type Permit } from '@atoll/host/node'
import type { GatewayResponse } from '../exchange.ts'
import type { GatewayLimits } from '../options.ts'
import type { Identified } from './identify.ts'
import { note, type Stage } from './stage.ts'

export interface Admitted extends Identified {
  /** To be one of the requests under way. */
  readonly permit: Permit
}

/**
 * Refuses requests with OVERLOADED while too many are under way: before any work is done for them, but where a body
 * took its time and all permits are taken when it has come.
 */
export function admission(
  host: Host,
  { requestsInFlightMax }: Pick<GatewayLimits, 'requestsInFlightMax'>,
): Stage<Identified, Admitted, GatewayResponse, GatewayResponse> {
  const permits = new Permits(host, requestsInFlightMax, 'requests are under way (requestsInFlightMax)')
  return (next) => async (exchange) => {
    const permit = permits.take('the request')
    try {
      return await next(note(exchange, { permit }))
    } finally {
      permit.release()
    }
  }
}
