import type { Host } from '@atoll/host'
import type { Dispatched } from 'atoll/runtime'
import type { GatewayLimits } from '../options.ts'
import type { Positioned } from './positions.ts'
import { note, type Stage } from './stage.ts'

export interface Timed extends Positioned {
  /** When the operation is to be done, by `host.monotonicMs()`, however often it is tried. */
  readonly deadlineMs: number
}

/**
 * Sets the deadline of the operation. What it took to know the caller counts, and what it took the client to send its
 * body does not.
 */
export function deadline(
  host: Host,
  { deadlineMs }: Pick<GatewayLimits, 'deadlineMs'>,
): Stage<Positioned, Timed, Dispatched, Dispatched> {
  return (next) => (exchange) =>
    next(note(exchange, { deadlineMs: host.monotonicMs() + deadlineMs - exchange.authenticationMs }))
}
