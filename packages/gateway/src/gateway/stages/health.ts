import { createSecretCheck } from '@atoll/host/node'
import { inBrief, type RunningSystem } from 'atoll/runtime'
import { headerOf, type GatewayResponse } from '../exchange.ts'
import type { Identified } from './identify.ts'
import type { Stage } from './stage.ts'
import { pathOf, toTarget } from './target.ts'

export interface HealthOptions {
  readonly readiness: RunningSystem['readiness']
  /** Why the gateway itself takes no more work. */
  readonly own: () => readonly string[]
  /** What the processes of the system share, if they share one. */
  readonly secret: string | undefined
}

/**
 * Answers `/livez` and `/readyz`. Strangers learn whether it is ready, as a balancer must; operators, with the secret,
 * why not.
 */
export function health(options: HealthOptions): Stage<Identified, Identified, GatewayResponse, GatewayResponse> {
  const isOperator = options.secret === undefined ? undefined : createSecretCheck(options.secret)
  return (next) => async (exchange) => {
    const { url, headers } = exchange.request
    const path = pathOf(toTarget(url))
    if (path === '/livez') return json(200, { live: true })
    if (path !== '/readyz') return next(exchange)
    return toReadiness(options, isOperator?.(headerOf(headers['authorization'])))
  }
}

/** `isOperator` is undefined where nobody could prove to be one. */
function toReadiness({ readiness, own }: HealthOptions, isOperator: boolean | undefined): GatewayResponse {
  const known = readiness()
  const reasons = own()
  const ready = known.ready && reasons.length === 0
  const status = ready ? 200 : 503
  if (isOperator === undefined)
    return json(status, { ready, ...said([...reasons, ...known.brief], known.warnings.map(inBrief)) })
  if (!isOperator) return json(status, { ready })
  return json(status, { ready, ...said([...reasons, ...known.reasons], known.warnings) })
}

function said(reasons: readonly string[], warnings: readonly string[]): object {
  return { reasons, ...(warnings.length > 0 && { warnings }) }
}

function json(status: number, body: object): GatewayResponse {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' },
    body: JSON.stringify(body),
  }
}
