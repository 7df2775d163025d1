import { Pool } from 'undici'
import { AtollError, type Host, type Logger, type Timer } from '@atoll/host'
import type { Cancellation, Dispatched } from 'atoll/runtime'
import type { Instance } from '../discovery/discovery.ts'
import { AROUND_OUTPUT_BYTES_MAX, decodeAnswer, decodeProblem, isForStrangers } from '../protocol.ts'
import { Breaker } from './breaker.ts'
import { Fault } from './fault.ts'
import type { ClientLimits } from './limits.ts'

/** One call, as it is sent to an instance. */
export interface Attempt {
  readonly operation: string
  readonly body: string
  /** By `host.monotonicMs()`. */
  readonly deadlineMs: number
  readonly signal: Cancellation | undefined
  /** Whether it may be given up here and made again elsewhere; asked when the instance hangs. */
  mayLeave(): boolean
}

/**
 * One instance of another service, as seen from here: its connections, the calls that wait for it, and whether it does
 * its part.
 */
export class Peer {
  readonly instance: Instance
  readonly #host: Host
  readonly #limits: ClientLimits
  readonly #headers: Readonly<Record<string, string>>
  readonly #pool: Pool
  /** Health is asked on connections of its own: those of calls may all be waiting. */
  readonly #health: Pool
  readonly #breaker: Breaker
  readonly #waiting = new Set<{ readonly sinceMs: number; leave(): void }>()
  #heardMs: number
  #watch: Timer | undefined

  constructor(
    instance: Instance,
    service: string,
    host: Host,
    logger: Logger,
    limits: ClientLimits,
    secret: string | undefined,
  ) {
    this.instance = instance
    this.#host = host
    this.#limits = limits
    this.#heardMs = host.monotonicMs()
    this.#headers = {
      'content-type': 'application/json',
      ...(secret === undefined ? {} : { authorization: `Bearer ${secret}` }),
    }
    const shared = {
      connect: { timeout: limits.connectMs },
      headersTimeout: 0,
      bodyTimeout: 0,
      maxResponseSize: limits.answerBytesMax + AROUND_OUTPUT_BYTES_MAX,
      pipelining: 1,
    }
    this.#pool = new Pool(instance.url, { ...shared, connections: limits.callsPerInstanceMax })
    this.#health = new Pool(instance.url, { ...shared, connections: 1 })
    const fields = { service, instance: instance.id, url: instance.url }
    this.#breaker = new Breaker(
      host,
      limits,
      () => this.#ask('/readyz'),
      (isOut, why) => {
        if (isOut) logger.warn({ ...fields, why }, 'an instance is left out, its calls go to others')
        else logger.info(fields, 'an instance is back')
      },
    )
    this.#askForTrust()
  }

  /** Calls that wait for it. */
  get inFlight(): number {
    return this.#waiting.size
  }

  /** Whether calls should go elsewhere. */
  get isOut(): boolean {
    return this.#breaker.isOut
  }

  get why(): string {
    return this.#breaker.why
  }

  /** Whether it is left out because it does not take the secret of this process. */
  get refusesSecret(): boolean {
    return this.#breaker.refusesSecret
  }

  get isFull(): boolean {
    return this.#waiting.size >= this.#limits.callsPerInstanceMax
  }

  /**
   * Sends a call. Rejects with what the operation answered, with DEADLINE_EXCEEDED or CANCELLED, or with a {@link
   * Fault}.
   */
  send(attempt: Attempt): Promise<Dispatched> {
    return this.#breaker.judge(() => this.#send(attempt))
  }

  /** Its connections end when the calls under way have. */
  async close(): Promise<void> {
    this.#breaker.close()
    await this.#pool.close()
    this.#watch?.cancel()
    await this.#health.destroy()
  }

  /** The same at once: nobody waits for the calls under way any more. */
  async destroy(): Promise<void> {
    this.#breaker.close()
    this.#watch?.cancel()
    await Promise.all([this.#pool.destroy(), this.#health.destroy()])
  }

  async #send(attempt: Attempt): Promise<Dispatched> {
    const { operation, body, deadlineMs, signal } = attempt
    const ended = new AbortController()
    const waiting = { sinceMs: this.#host.monotonicMs(), leave: () => attempt.mayLeave() && ended.abort(this.#hangs()) }
    const onAbort = (): void => ended.abort(new AtollError('CANCELLED', `${operation}: the caller went away`))
    const timer = this.#host.after(deadlineMs - waiting.sinceMs, () =>
      ended.abort(new AtollError('DEADLINE_EXCEEDED', `${operation} was not answered in time by ${this.instance.id}`)),
    )
    if (signal?.aborted) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#waiting.add(waiting)
    this.#watchOver()
    try {
      const response = await this.#pool.request({
        method: 'POST',
        path: `/call/${encodeURIComponent(operation)}`,
        headers: this.#headers,
        body,
        signal: ended.signal,
      })
      const text = await response.body.text()
      this.#heardMs = this.#host.monotonicMs()
      return this.#read(response.statusCode, text)
    } catch (thrown) {
      throw toFault(thrown, ended.signal, this.instance.id)
    } finally {
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
      this.#waiting.delete(waiting)
    }
  }

  #read(status: number, text: string): Dispatched {
    if (status === 200) {
      const answer = decodeAnswer(text)
      if (answer) return answer
      throw new Fault('lost', `${this.instance.id} answered something that is no answer`)
    }
    const problem = decodeProblem(text)
    if (!problem)
      throw new Fault('lost', `${this.instance.id} answered with status ${status}, and not in the words of a call`)
    const { error, unstarted } = problem
    if (!unstarted || error.code === 'BODY_TOO_LARGE') throw error // another instance would say the same
    throw new Fault(declines.has(error.code) ? 'declined' : 'refused', error.reason, error)
  }

  /** While calls wait, an instance from which nothing has been heard for a while is asked whether it lives. */
  #watchOver(): void {
    if (this.#watch) return
    this.#watch = this.#host.after(this.#limits.silentMs, () => {
      this.#watch = undefined
      const [oldest] = this.#waiting
      if (!oldest) return
      const silentMs = this.#host.monotonicMs() - Math.max(oldest.sinceMs, this.#heardMs)
      if (silentMs < this.#limits.silentMs) return this.#watchOver()
      this.#ask('/livez').then(
        () => this.#watchOver(),
        () => {
          // it is told, and has nobody to tell
          this.#breaker.judge(() => Promise.reject(this.#hangs())).catch(() => undefined)
          for (const waiting of [...this.#waiting]) waiting.leave()
          this.#watchOver()
        },
      )
    })
  }

  #hangs(): Fault {
    return new Fault(
      'hangs',
      `${this.instance.id} has not said for ${this.#limits.silentMs + this.#limits.aliveMs} ms that it lives`,
    )
  }

  /** Finds out whether it takes the secret before anybody waits for it. Whether it is there at all, calls find out. */
  #askForTrust(): void {
    this.#ask('/readyz').catch((thrown: unknown) => {
      if (!(thrown instanceof Fault && thrown.refusesSecret)) return
      this.#breaker.judge(() => Promise.reject(thrown)).catch(() => undefined) // it is told, and has nobody to tell
    })
  }

  /**
   * Resolves if it answers well in time, and, where it says whether it is ready, to this process as to one of its
   * system.
   */
  async #ask(path: '/livez' | '/readyz'): Promise<void> {
    const late = new AbortController()
    // If this process itself stood still, the answer is there and has not been read: turns let it come in first.
    const afterTurns = (then: () => void): void => this.#host.turn(() => this.#host.turn(then))
    const timer = this.#host.after(this.#limits.aliveMs, () =>
      afterTurns(() => late.abort(new Fault('hangs', `${this.instance.id} does not answer ${path}`))),
    )
    try {
      const { statusCode, body } = await this.#health.request({
        method: 'GET',
        path,
        headers: this.#headers,
        signal: late.signal,
      })
      const text = await body.text()
      this.#heardMs = this.#host.monotonicMs()
      if (path === '/readyz' && isForStrangers(text))
        throw new Fault(
          'refused',
          `${this.instance.id} does not take the secret of this process`,
          new AtollError('UNAUTHENTICATED', SECRET_REFUSED),
        )
      if (statusCode !== 200) throw new Fault('refused', `${this.instance.id} is not ready`)
    } catch (thrown) {
      throw toFault(thrown, late.signal, this.instance.id)
    } finally {
      timer.cancel()
    }
  }
}

const SECRET_REFUSED =
  'the secret for calls is missing or wrong; every process of a system needs the same ATOLL_CALLS_SECRET'

/** Refusals before the work began that say nothing against the instance. */
const declines: ReadonlySet<string> = new Set(['OVERLOADED', 'NOT_FOUND'])

/**
 * What became of a request that was not answered. Only of one whose connection never came about is it certain that it
 * had no effect.
 */
function toFault(thrown: unknown, ended: AbortSignal, instance: string): unknown {
  if (ended.aborted) return ended.reason
  if (thrown instanceof AtollError || thrown instanceof Fault) return thrown
  const { code, message } = thrown as NodeJS.ErrnoException // undici and Node reject with errors
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE')
    return new AtollError('ANSWER_TOO_LARGE', `${instance} answered more than is taken here (answerBytesMax)`, {
      cause: thrown,
    })
  const isUnreached = neverConnected(thrown)
  return new Fault(
    isUnreached ? 'unreached' : 'lost',
    `${instance} ${isUnreached ? 'cannot be reached' : 'was lost'}: ${code ?? message}`,
    thrown,
  )
}

/** Of a name with several addresses, each is tried, and each has an error of its own. */
function neverConnected(thrown: unknown): boolean {
  if (thrown instanceof AggregateError) return thrown.errors.length > 0 && thrown.errors.every(neverConnected)
  const { code, syscall } = thrown as NodeJS.ErrnoException // as above
  return syscall === 'connect' || syscall === 'getaddrinfo' || code === 'UND_ERR_CONNECT_TIMEOUT'
}
