import { AtollError } from '@atoll/host'
import type { Dispatched, RunningSystem } from 'atoll/runtime'
import { headerOf } from '../exchange.ts'
import type { GatewayLimits } from '../options.ts'
import type { Conditional } from './conditional.ts'
import type { Handler } from './stage.ts'

/** Has the system carry out the operation. */
export function dispatch(
  running: Pick<RunningSystem, 'dispatch'>,
  { answerBytesMax }: Pick<GatewayLimits, 'answerBytesMax'>,
): Handler<Conditional, Dispatched> {
  return (exchange) => {
    const {
      request: { headers },
      target: { operation },
    } = exchange
    return running.dispatch(operation.name, {
      input: exchange.input,
      isFromClient: true,
      caller: exchange.caller,
      position: exchange.position,
      maybeSeen: exchange.maybeSeen,
      deadlineMs: exchange.deadlineMs,
      signal: exchange.request.signal(),
      idempotencyKey: operation.kind === 'command' ? idempotencyKeyOf(headerOf(headers['idempotency-key'])) : undefined,
      trace: exchange.trace,
      requestId: exchange.requestId,
      show: true,
      answerBytesMax,
      ifMatch: exchange.ifMatch,
      ifNoneMatch: exchange.ifNoneMatch,
    })
  }
}

function idempotencyKeyOf(sent: string | undefined): string | undefined {
  if (sent === undefined || /^[\x21-\x7e]{1,255}$/.test(sent)) return sent
  throw new AtollError('MALFORMED', 'Idempotency-Key must be 1 to 255 visible characters')
}
