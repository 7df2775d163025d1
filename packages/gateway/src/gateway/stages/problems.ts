import type { AtollError } from '@atoll/host'
import type { ErrorShape } from 'atoll'
import { runAttributed } from 'atoll/runtime'
import type { GatewayResponse } from '../exchange.ts'
import type { GatewayOptions } from '../options.ts'
import type { FailureLog } from './failure-log.ts'
import type { Identified } from './identify.ts'
import { toResponse } from './problem.ts'
import type { Routed } from './route.ts'
import type { Stage } from './stage.ts'

/** Answers what the stages behind it throw, as problem+json. */
export function problems(failures: FailureLog): Stage<Identified, Identified, GatewayResponse, GatewayResponse> {
  return (next) => async (exchange) => {
    try {
      return await next(exchange)
    } catch (error) {
      failures.tell(error, exchange.requestId)
      return inWords(error, exchange.requestId, undefined, (unworded) => failures.tell(unworded, exchange.requestId))
    }
  }
}

/** The same once it is known what a request is for: in the words of its contract, where that has some. */
export function contractErrors(
  failures: FailureLog,
  { attribution, logger }: Pick<GatewayOptions, 'attribution' | 'logger'>,
): Stage<Routed, Routed, GatewayResponse, GatewayResponse> {
  return (next) => async (exchange) => {
    try {
      return await next(exchange)
    } catch (error) {
      const { requestId, target } = exchange
      const tell = (failure: unknown): void => failures.tell(failure, requestId, target.operation.name)
      tell(error)
      const { errors } = target
      const shape =
        errors &&
        ((shown: AtollError) =>
          runAttributed(
            attribution,
            logger,
            { handling: `the errors of ${target.operation.contract}`, requestId },
            () => errors(shown),
          ))
      return inWords(error, requestId, shape, tell)
    }
  }
}

/** What a service's author wrote may fail here too: the words of the contract, or details that are not JSON. */
function inWords(
  error: unknown,
  requestId: string,
  shape: ErrorShape | undefined,
  tell: (unworded: unknown) => void,
): GatewayResponse {
  try {
    return toResponse(error, requestId, shape)
  } catch (unworded) {
    tell(unworded)
    return shape ? inWords(error, requestId, undefined, tell) : toResponse(unworded, requestId, undefined)
  }
}
