import { createSecretCheck } from '@atoll/host/node'
import { inBrief, type RunningSystem } from 'atoll/runtime'
import type { GatewayResponse } from './exchange.ts'

export interface HealthOptions {
  /** Why the gateway itself takes no more work. */
  readonly own: readonly string[]
  /** What the processes of the system share, if they share one. */
  readonly secret: string | undefined
}

/** Answers `/livez` and `/readyz`; undefined for any other path. Strangers learn whether it is ready, as a balancer must; operators, with the secret, why not. */
export function toHealth(path: string, authorization: string | undefined, readiness: RunningSystem['readiness'], { own, secret }: HealthOptions): GatewayResponse | undefined {
  if (path === '/livez') return json(200, { live: true })
  if (path !== '/readyz') return undefined
  const known = readiness()
  const ready = known.ready && own.length === 0
  const status = ready ? 200 : 503
  if (secret === undefined) return json(status, { ready, ...said([...own, ...known.brief], known.warnings.map(inBrief)) }) // nobody could prove to be an operator
  if (!createSecretCheck(secret)(authorization)) return json(status, { ready })
  return json(status, { ready, ...said([...own, ...known.reasons], known.warnings) })
}

function said(reasons: readonly string[], warnings: readonly string[]): object {
  return { reasons, ...(warnings.length > 0 && { warnings }) }
}

function json(status: number, body: object): GatewayResponse {
  return { status, headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' }, body: JSON.stringify(body) }
}
