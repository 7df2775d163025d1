import { createGateway, type Gateway, type Served } from '@atoll/gateway'
import type { Host, Logger } from '@atoll/host'
import type { Readiness } from 'atoll/runtime'
import type { Fleet } from './fleet.ts'
import type { RequestOptions, WorldOptions } from './options.ts'

/** The gateway of a world: the real one, without its socket. */
export function createEdge(fleet: Fleet, host: Host, logger: Logger, options: WorldOptions['gateway'] = {}): Gateway {
  const served: Served = {
    system: fleet.system,
    dispatch: (operation, request) => fleet.dispatch(operation, request),
    readiness: () => readinessOf(fleet),
  }
  const settings = typeof options === 'function' ? options(served) : options
  return createGateway(served, {
    authenticate: async (token) => ({ id: token, claims: {} }),
    ...settings,
    host,
    logger,
  })
}

/** A request as it comes from a socket. */
export function toEdgeRequest(
  method: string,
  url: string,
  { as, body, headers = {}, address = 'client' }: RequestOptions,
): Parameters<Gateway['handle']>[0] {
  const text = body === undefined ? '' : JSON.stringify(body)
  const content: Record<string, string> =
    body === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }
  const token: Record<string, string> = as === undefined ? {} : { authorization: `Bearer ${as}` }
  return {
    method,
    url,
    headers: { ...content, ...token, ...headers },
    address,
    body: async () => text,
    signal: () => undefined,
  }
}

/** Whether every service is up, and each of its instances ready. */
export function readinessOf(fleet: Fleet): Readiness {
  const down = fleet.system.services
    .filter(({ name }) => !fleet.isUp(name))
    .map(({ name }) => `service ${name} is down`)
  // what is up runs
  const up = fleet.all.filter((instance) => instance.isUp).map((instance) => instance.running!.readiness())
  const reasons = [...down, ...new Set(up.flatMap((one) => one.reasons))]
  return {
    ready: reasons.length === 0,
    reasons,
    brief: [...down, ...new Set(up.flatMap((one) => one.brief))],
    warnings: [...new Set(up.flatMap((one) => one.warnings))],
  }
}
