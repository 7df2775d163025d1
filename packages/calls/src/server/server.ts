import { AtollError, type Host, type Logger } from '@atoll/host'
import { Permits } from '@atoll/host/node'
import { assertAnswerSize, type RunningSystem } from 'atoll/runtime'
import { Listener, type Exchange } from '../listener.ts'
import { decodeCall, encodeAnswer, encodeProblem, parse } from '../protocol.ts'
import { assertGuarded, type Trust } from '../secret.ts'
import { defaultServerLimits, type ServerLimits } from './limits.ts'

/** What a call server needs of the system behind it. */
export type Reached = Pick<RunningSystem, 'system' | 'dispatch' | 'readiness' | 'services'>

export interface CallServerOptions extends Trust {
  readonly host: Host
  readonly logger: Logger
  /**
   * What operators may ask for below `/admin/`: the verb and what came with it to the items that go back, one on a
   * line. Default: nothing.
   */
  readonly admin?: ((verb: string, body: unknown, signal: AbortSignal) => AsyncIterable<unknown>) | undefined
  /** Only what differs from {@link defaultServerLimits}. */
  readonly limits?: Partial<ServerLimits> | undefined
}

/** Where the other processes of a system reach the services of this one. */
export interface CallServer {
  /**
   * Listens. `port` 0 takes a free one. PORT_TAKEN if the port is, CONFIG_INVALID without a secret, unless that was
   * given up by name for loopback.
   */
  listen(at: { port: number; host: string }): Promise<{ url: string; port: number }>
  /**
   * From now on it is not ready, and refuses calls in a way that lets callers turn to another instance. What is under
   * way goes on.
   */
  refuse(): void
  /** Refuses for `lingerMs` in all, lets calls under way end, `drainMs` at the most, and closes. Idempotent. */
  close(options?: { drainMs?: number }): Promise<void>
}

/** Makes the server through which other processes call the services that run here. */
export function createCallServer(reached: Reached, options: CallServerOptions): CallServer {
  return new HttpCallServer(reached, options)
}

class HttpCallServer implements CallServer {
  readonly #reached: Reached
  readonly #options: CallServerOptions
  readonly #limits: ServerLimits
  readonly #listener: Listener
  readonly #permits: Permits
  #refusingSinceMs: number | undefined
  #closing: Promise<void> | undefined

  constructor(reached: Reached, options: CallServerOptions) {
    this.#reached = reached
    this.#options = options
    this.#limits = { ...defaultServerLimits, ...options.limits }
    this.#permits = new Permits(
      options.host,
      this.#limits.callsInFlightMax,
      'calls are under way here (callsInFlightMax)',
    )
    this.#listener = new Listener(
      this.#limits,
      options.secret,
      options.logger,
      (exchange) => this.#serve(exchange),
      (error) => encodeProblem(error, true),
    )
  }

  async listen({ port, host }: { port: number; host: string }): Promise<{ url: string; port: number }> {
    assertGuarded(host, this.#options, 'the server for calls')
    return this.#listener.listen(port, host)
  }

  refuse(): void {
    if (this.#refusingSinceMs !== undefined) return
    this.#refusingSinceMs = this.#options.host.monotonicMs()
    this.#listener.endConnections()
  }

  close({ drainMs = 10_000 }: { drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(drainMs)
    return this.#closing
  }

  async #close(drainMs: number): Promise<void> {
    this.refuse()
    const { host } = this.#options
    const lingerMs = this.#refusingSinceMs! + this.#limits.lingerMs - host.monotonicMs() // set by refuse
    // it keeps the process, which a timer of the host does not
    if (lingerMs > 0) await new Promise<void>((resolve) => setTimeout(resolve, lingerMs))
    await this.#listener.close(drainMs)
  }

  async #serve(exchange: Exchange): Promise<void> {
    const { method, path } = exchange
    if (method === 'GET' && path === '/livez') return exchange.answer(200, '{"live":true}')
    if (method === 'GET' && path === '/readyz') return this.#readiness(exchange)
    if (method === 'POST' && path.startsWith('/call/')) return this.#call(exchange, path.slice('/call/'.length))
    if (method === 'POST' && path.startsWith('/admin/') && this.#options.admin)
      return this.#administer(exchange, path.slice('/admin/'.length))
    throw new AtollError('NOT_FOUND', `there is nothing at ${method} ${path}`)
  }

  /**
   * Strangers learn whether it is ready, and of which system it is, as a registry must. Why it is not may name
   * services, addresses and users.
   */
  #readiness(exchange: Exchange): void {
    const own = this.#reached.readiness()
    const isStopping = this.#refusingSinceMs !== undefined
    const ready = own.ready && !isStopping
    const shown = { ready, system: this.#reached.system.name }
    const { warnings } = own
    const more = {
      reasons: isStopping ? ['it is stopping'] : own.reasons,
      ...(warnings.length > 0 && { warnings }),
      services: [...this.#reached.services.keys()],
    }
    exchange.answer(ready ? 200 : 503, JSON.stringify(exchange.isTrusted ? { ...shown, ...more } : shown))
  }

  async #call(exchange: Exchange, operation: string): Promise<void> {
    const permit = this.#permits.take(operation)
    let begun = false
    try {
      const { system, remainingMs, maybeSeen, ...call } = decodeCall(await permit.whileAwaiting(exchange.body()))
      this.#assertTakes(system, operation)
      // Nothing is waited for between that check and the dispatch: what was not refused by then has begun.
      begun = true
      const nowMs = this.#options.host.monotonicMs()
      const deadlineMs = nowMs + Math.min(remainingMs, this.#limits.callMsMax)
      const maybe = maybeSeen && { position: maybeSeen.position, untilMs: nowMs + maybeSeen.remainingMs }
      const answerBytesMax = Math.min(call.answerBytesMax ?? Infinity, this.#limits.answerBytesMax)
      const dispatched = await this.#reached.dispatch(operation, {
        ...call,
        input: call.input,
        maybeSeen: maybe,
        deadlineMs,
        signal: exchange.gone,
        answerBytesMax,
      })
      const outputJson =
        dispatched.outputJson ?? (dispatched.output === undefined ? undefined : JSON.stringify(dispatched.output))
      if (outputJson !== undefined)
        // recorded under a larger limit, before: the other side would give up reading, and take this instance for
        // broken
        assertAnswerSize(this.#reached.system.operations.get(operation)!.operation, outputJson, answerBytesMax, 'done')
      exchange.answer(200, encodeAnswer(dispatched, outputJson))
    } catch (thrown) {
      const error = AtollError.from(thrown)
      // Only here is it known where it comes from; callers get code and message.
      if (error.status === 500) this.#options.logger.error({ operation, error }, `call failed: ${error.code}`)
      exchange.answer(error.status, encodeProblem(error, !begun))
    } finally {
      permit.release()
    }
  }

  /** Refuses, before anything begins, what would not begin here. */
  #assertTakes(system: string, operation: string): void {
    const own = this.#reached.system
    if (system !== own.name)
      throw new AtollError(
        'UNAVAILABLE',
        `${operation} was refused: this is a process of system ${own.name}, and the caller belongs to ${system}`,
      )
    if (this.#refusingSinceMs !== undefined)
      throw new AtollError('UNAVAILABLE', `${operation} was refused: this instance is stopping`)
    const service = own.operations.get(operation)?.service.name
    const state = service === undefined ? undefined : this.#reached.services.get(service)?.state
    if (state === 'running') return
    if (service === undefined)
      throw new AtollError(
        'NOT_FOUND',
        `${operation} was refused: this instance does not know it; is it of an older version?`,
      )
    throw new AtollError(
      'UNAVAILABLE',
      `${operation} was refused: service ${service} ${state === undefined ? 'does not run in this instance' : `is ${state} here`}`,
    )
  }

  async #administer(exchange: Exchange, verb: string): Promise<void> {
    const gone = new AbortController()
    exchange.gone.addEventListener('abort', () => gone.abort())
    const items = this.#options.admin!(verb, parse(await exchange.body()), gone.signal) // it was looked at before
    const lines = exchange.stream()
    try {
      for await (const item of items) {
        if (gone.signal.aborted) return
        await lines.write(JSON.stringify({ item }))
      }
      await lines.write('{"end":true}')
    } catch (thrown) {
      const error = AtollError.from(thrown)
      await lines.write(JSON.stringify({ error: { code: error.code, message: error.reason } }))
    }
    lines.end()
  }
}
