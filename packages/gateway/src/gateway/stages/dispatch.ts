import { AtollError, type Host } from '@atoll/host'
import { isTrace, newTrace, type Dispatched, type RunningSystem } from 'atoll/runtime'
import { headerOf } from '../exchange.ts'
import type { GatewayLimits } from '../options.ts'
import type { Positioned } from './positions.ts'
import type { Handler } from './stage.ts'

/** Has the system carry out the operation, within the deadline. */
export function dispatch(running: Pick<RunningSystem, 'dispatch'>, host: Host, { deadlineMs, answerBytesMax }: Pick<GatewayLimits, 'deadlineMs' | 'answerBytesMax'>): Handler<Positioned, Dispatched> {
  return (exchange) => {
    const { request: { headers }, target: { operation } } = exchange
    return running.dispatch(operation.name, {
      input: exchange.input,
      isFromClient: true,
      caller: exchange.caller,
      position: exchange.position,
      maybeSeen: exchange.maybeSeen,
      deadlineMs: host.monotonicMs() + deadlineMs - exchange.authenticationMs,
      signal: exchange.request.signal(),
      idempotencyKey: operation.kind === 'command' ? idempotencyKeyOf(headerOf(headers['idempotency-key'])) : undefined,
      trace: traceOf(headerOf(headers['traceparent'])) ?? newTrace(host),
      requestId: exchange.requestId,
      show: true,
      answerBytesMax,
      ifMatch: exchange.ifMatch,
      ifNoneMatch: exchange.ifNoneMatch,
    })
  }
}

function traceOf(sent: string | undefined): string | undefined {
  return sent !== undefined && isTrace(sent) ? sent : undefined
}

function idempotencyKeyOf(sent: string | undefined): string | undefined {
  if (sent === undefined || /^[\x21-\x7e]{1,255}$/.test(sent)) return sent
  throw new AtollError('MALFORMED', 'Idempotency-Key must be 1 to 255 visible characters')
}
