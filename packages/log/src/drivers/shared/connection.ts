import { AtollError, type Host, type Logger } from '@atoll/host'
import type { EngineLimits } from './limits.ts'
import { Reachability } from './reachability.ts'

/** How a kind of engine is connected to. */
export interface Opening<Client> {
  /** For messages: `Redis at 10.0.0.7:6379`. Without credentials. */
  readonly engine: string
  /**
   * Resolves with a client of which everything can be asked. It calls `lost` when that ends, and gives up when the
   * signal aborts.
   */
  open(lost: (why: unknown) => void, signal: AbortSignal): Promise<Client>
  /** Ends a client, of which nothing more is wanted: politely if it is well, at once if it is not. Does not throw. */
  end(client: Client, isWell: boolean): void
  /** What a client said, as an AtollError. */
  toError(thrown: unknown): AtollError
}

export interface ConnectionLimits extends Pick<EngineLimits, 'callMs' | 'connectMs' | 'reconnectMsMax'> {
  /** The most calls that are not answered yet. */
  readonly queuedCallsMax: number
}

/**
 * One connection to an engine, replaced when it breaks or falls silent. Calls go out at once or are rejected: nothing
 * waits for a connection, so nothing that was rejected is written later. Client libraries reconnect by themselves if
 * allowed to, and then keep what they had not sent; so each client here lives as long as its socket, and no longer.
 */
export class Connection<Client> {
  readonly #opening: Opening<Client>
  readonly #host: Host
  readonly #limits: ConnectionLimits
  readonly #reachability: Reachability
  #client: Client | undefined
  readonly #ended = new AbortController()
  /** What waits for an answer. */
  readonly #waiting = new Set<(why: AtollError) => void>()
  /** When the engine last answered anything. */
  #answeredAt = 0

  constructor(opening: Opening<Client>, host: Host, logger: Logger, limits: ConnectionLimits) {
    this.#opening = opening
    this.#host = host
    this.#limits = limits
    this.#reachability = new Reachability(
      { engine: opening.engine, attempt: () => this.#connect() },
      host,
      logger,
      limits.reconnectMsMax,
    )
  }

  get engine(): string {
    return this.#opening.engine
  }

  get isConnected(): boolean {
    return this.#client !== undefined
  }

  /** Resolves after the first try, whatever came of it; goes on trying until {@link close}. */
  async start(): Promise<void> {
    await this.#reachability.start()
  }

  /**
   * Rejects with UNAVAILABLE when there is no connection, when it breaks, and when the answer takes longer than
   * `callMs`.
   */
  async call<T>(use: (client: Client) => Promise<T>): Promise<T> {
    this.#reachability.assert()
    const client = this.#client! // it is there while the engine is within reach
    const { queuedCallsMax } = this.#limits
    if (this.#waiting.size >= queuedCallsMax) {
      throw new AtollError(
        'OVERLOADED',
        `${this.#waiting.size} calls wait for ${this.engine} already: over queuedCallsMax (${queuedCallsMax})`,
      )
    }
    try {
      return await this.#answerOf(client, use)
    } catch (error) {
      throw this.#opening.toError(error)
    }
  }

  /** Rejects what waits for an answer, and ends. */
  close(): void {
    this.#ended.abort()
    void this.#reachability.close()
    this.#drop(new AtollError('UNAVAILABLE', `the connection to ${this.engine} was closed`), this.#waiting.size === 0)
  }

  /** Libraries do not notice a peer that takes everything and answers nothing, or only after minutes. */
  #answerOf<T>(client: Client, use: (client: Client) => Promise<T>): Promise<T> {
    const { callMs } = this.#limits
    const startedAt = this.#host.monotonicMs()
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        timer.cancel()
        this.#waiting.delete(fail)
      }
      const fail = (why: AtollError): void => {
        settle()
        reject(why)
      }
      const timer = this.#host.after(callMs, () => {
        const error = new AtollError('UNAVAILABLE', `${this.engine} did not answer within ${callMs} ms (callMs)`)
        fail(error)
        if (this.#answeredAt < startedAt) this.#lose(client, error)
      })
      this.#waiting.add(fail)
      use(client).then(
        (answer) => {
          this.#answeredAt = this.#host.monotonicMs()
          settle()
          resolve(answer)
        },
        (error: unknown) => {
          settle()
          reject(error)
        },
      )
    })
  }

  async #connect(): Promise<void> {
    const { connectMs } = this.#limits
    const attempt = new AbortController()
    const signal = AbortSignal.any([attempt.signal, this.#ended.signal])
    let current: { readonly client?: Client; readonly lost?: unknown } = {}
    const lost = (why: unknown): void => {
      if (current.client !== undefined) this.#lose(current.client, why)
      else current = { lost: why }
    }
    const timer = this.#host.after(connectMs, () =>
      attempt.abort(
        new AtollError(
          'UNAVAILABLE',
          `${this.engine} accepts connections and does not answer within ${connectMs} ms (connectMs)`,
        ),
      ),
    )
    try {
      const client = await unlessAborted(signal, this.#opening.open(lost, signal), (late) =>
        this.#opening.end(late, false),
      )
      if ('lost' in current) {
        this.#opening.end(client, false)
        throw current.lost
      }
      current = { client }
      this.#client = client
    } catch (error) {
      attempt.abort()
      throw this.#opening.toError(error)
    } finally {
      timer.cancel()
    }
  }

  #lose(client: Client, thrown: unknown): void {
    if (this.#client !== client) return
    const why = this.#opening.toError(thrown)
    this.#drop(why, false)
    this.#reachability.lost(why)
  }

  #drop(why: AtollError, isWell: boolean): void {
    const client = this.#client
    this.#client = undefined
    for (const fail of [...this.#waiting]) fail(why)
    if (client !== undefined) this.#opening.end(client, isWell)
  }
}

/**
 * The result of work, or the reason of an abort that came first; then what the work comes to all the same is given to
 * `end`.
 */
function unlessAborted<T>(signal: AbortSignal, work: Promise<T>, end: (late: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    work.then((result) => {
      signal.removeEventListener('abort', abort)
      if (signal.aborted) end(result)
      else resolve(result)
    }, reject)
  })
}
