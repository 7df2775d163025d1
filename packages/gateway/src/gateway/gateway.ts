import type { RunningSystem } from 'atoll/runtime'
import type { GatewayRequest, GatewayResponse } from './exchange.ts'
import { Listener } from './listener.ts'
import { defaultLimits, type GatewayOptions } from './options.ts'
import { admission } from './stages/admission.ts'
import { answer } from './stages/answer.ts'
import { authenticate } from './stages/authenticate.ts'
import { conditional } from './stages/conditional.ts'
import { cors } from './stages/cors.ts'
import { deadline } from './stages/deadline.ts'
import { dispatch } from './stages/dispatch.ts'
import { FailureLog } from './stages/failure-log.ts'
import { health } from './stages/health.ts'
import { identify, type Incoming } from './stages/identify.ts'
import { positions } from './stages/positions.ts'
import { contractErrors, problems } from './stages/problems.ts'
import { readInput } from './stages/read-input.ts'
import { route } from './stages/route.ts'
import { Routes } from './stages/routes.ts'
import { Stages } from './stages/stage.ts'

/** The HTTP edge of a running system. */
export interface Gateway {
  /** Answers one request. Never rejects. Needs no socket, so a test or a simulation can use it as it is. */
  handle(request: GatewayRequest): Promise<GatewayResponse>
  /**
   * Listens for HTTP/1.1. `port` 0 takes a free one. PORT_TAKEN if the port is; CONFIG_INVALID for an address or a port
   * that cannot be.
   */
  listen(at: { port: number; host?: string }): Promise<{ url: string }>
  /** Takes no more connections, lets requests under way end, `drainMs` at the most, and closes. Idempotent. */
  close(options?: { drainMs?: number }): Promise<void>
}

/** What a gateway needs of the system behind it. */
export type Served = Pick<RunningSystem, 'system' | 'dispatch' | 'readiness'>

/** Makes the gateway of a system from its contracts: routes, authentication, limits, causal reads, errors. */
export function createGateway(running: Served, options: GatewayOptions): Gateway {
  const { host, logger, trustProxy, attribution } = options
  const limits = { ...defaultLimits, ...options.limits }
  const failures = new FailureLog(host, logger)
  let isDraining = false

  // The way of a request, from the outside in; its answer comes back the other way.
  const answerTo = Stages.begin<Incoming, GatewayResponse>()
    .through(identify(host))
    .through(cors(options.cors))
    .through(problems(failures))
    .through(
      health({
        readiness: () => running.readiness(),
        own: () => (isDraining ? ['the gateway is draining'] : []),
        secret: options.secret,
      }),
    )
    .through(admission(host, limits))
    .through(route(new Routes(running.system, options.basePath ?? '')))
    .through(contractErrors(failures, { attribution, logger }))
    .through(
      authenticate({ host, logger, attribution, deadlineMs: limits.deadlineMs, authenticate: options.authenticate }),
    )
    .through(readInput(limits))
    .through(answer(host, limits))
    .through(positions({ host, limits, trustProxy }))
    .through(deadline(host, limits))
    .through(conditional())
    .to(dispatch(running, limits))

  const handle = (request: GatewayRequest): Promise<GatewayResponse> => answerTo({ request })
  const listener = new Listener(limits, logger, handle)
  return {
    handle,
    listen: ({ port, host = '127.0.0.1' }) => listener.listen(port, host),
    async close({ drainMs = 10_000 } = {}) {
      isDraining = true
      await listener.close(drainMs)
    },
  }
}
