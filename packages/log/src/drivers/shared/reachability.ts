import { AtollError, type Host, type Logger, type Timer } from '@atoll/host'

/** What keeps an engine within reach. */
export interface Reaching {
  /** For messages, without credentials: `Redis at 10.0.0.7:6379`. */
  readonly engine: string
  /** Resolves once calls can be made; rejects with an AtollError that says why not. */
  attempt(): Promise<void>
}

/**
 * Keeps an engine within reach: attempts it until it succeeds, and again whenever it is lost, after pauses that double
 * up to `reconnectMsMax`, with jitter. Until then it says why not. An outage is logged once, and so is its end; the
 * next one only if the engine was within reach for as long as the longest pause.
 */
export class Reachability {
  readonly #reaching: Reaching
  readonly #host: Host
  readonly #logger: Logger
  readonly #reconnectMsMax: number
  /** Why no call can be made. */
  #trouble: AtollError | undefined
  #attempting: Promise<void> | undefined
  /** It may have been lost since the attempt under way began. */
  #isInDoubt = false
  /** It was lost since then. */
  #lostBy: AtollError | undefined
  #failures = 0
  /** What was logged since it was last within reach for a while. */
  #told: 'nothing' | 'lost' | 'back' = 'nothing'
  #retryTimer: Timer | undefined
  #steadyTimer: Timer | undefined
  #isClosed = false

  constructor(reaching: Reaching, host: Host, logger: Logger, reconnectMsMax: number) {
    this.#reaching = reaching
    this.#host = host
    this.#logger = logger
    this.#reconnectMsMax = reconnectMsMax
    this.#trouble = new AtollError('UNAVAILABLE', `${reaching.engine} has not been reached yet; it is being tried`)
  }

  /** Resolves after the first attempt: with nothing, or with why it failed. */
  async start(): Promise<AtollError | undefined> {
    await this.#attempt()
    return this.#trouble
  }

  /** Throws why no call can be made, if none can. */
  assert(): void {
    if (this.#trouble) throw new AtollError(this.#trouble.code, this.#trouble.reason, { cause: this.#trouble })
  }

  /** It is out of reach: calls are refused until an attempt succeeds. */
  lost(why: AtollError): void {
    if (this.#isClosed) return
    if (this.#attempting) this.#lostBy = why
    else if (!this.#trouble) this.#fail(why)
  }

  /** It may be out of reach: it is attempted, and calls go on meanwhile. `why`, if given, refuses them until then. */
  doubt(why?: AtollError): void {
    if (this.#isClosed) return
    this.#trouble ??= why
    this.#isInDoubt = true
    if (!this.#attempting && !this.#retryTimer) void this.#attempt()
  }

  /** Resolves when no attempt is under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#retryTimer?.cancel()
    this.#steadyTimer?.cancel()
    await this.#attempting
  }

  #attempt(): Promise<void> {
    this.#attempting ??= this.#attemptOnce().finally(() => (this.#attempting = undefined))
    return this.#attempting
  }

  async #attemptOnce(): Promise<void> {
    this.#isInDoubt = false
    this.#lostBy = undefined
    try {
      await this.#reaching.attempt()
    } catch (error) {
      return this.#fail(AtollError.from(error))
    }
    if (this.#isClosed) return
    if (this.#lostBy) return this.#fail(this.#lostBy)
    if (this.#isInDoubt) return this.#later()
    this.#trouble = undefined
    if (this.#told === 'lost') {
      this.#told = 'back'
      this.#logger.info({ engine: this.#reaching.engine }, `${this.#reaching.engine} answers again`)
    }
    this.#steadyTimer?.cancel() // of a success before this one
    this.#steadyTimer = this.#host.after(this.#reconnectMsMax, () => {
      this.#failures = 0
      this.#told = 'nothing'
    })
  }

  #fail(why: AtollError): void {
    if (this.#isClosed) return
    this.#trouble = why
    if (this.#told === 'nothing') {
      this.#told = 'lost'
      this.#logger.warn(
        { engine: this.#reaching.engine, error: why },
        `${this.#reaching.engine} cannot be reached: calls of the log are refused until it can, which is tried again and again`,
      )
    }
    this.#later()
  }

  #later(): void {
    this.#steadyTimer?.cancel()
    this.#retryTimer?.cancel()
    const delayMs = Math.min(firstDelayMs * 2 ** this.#failures++, this.#reconnectMsMax)
    this.#retryTimer = this.#host.after(delayMs * (0.75 + this.#host.random() / 4), () => {
      this.#retryTimer = undefined
      void this.#attempt()
    })
  }
}

const firstDelayMs = 50
