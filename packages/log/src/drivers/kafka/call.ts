import { AtollError, type Host, type Timer } from '@atoll/host'

/**
 * The time that one call has. Whatever it waits for goes through {@link wait}, so that it ends in time, come what may.
 */
export class Call {
  readonly #host: Host
  readonly #endMs: number
  readonly #timer: Timer
  readonly #expired: Promise<never>

  constructor(host: Host, ms: number, what: string, limit: 'callMs' | 'connectMs' = 'callMs') {
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => undefined) // whoever waits is told; nobody may be waiting
    this.#host = host
    this.#endMs = host.monotonicMs() + ms
    this.#expired = promise
    this.#timer = host.after(ms, () =>
      reject(
        new AtollError(
          'UNAVAILABLE',
          `Kafka did not answer within ${limit} (${ms}): ${what}; look at the brokers, and try again`,
        ),
      ),
    )
  }

  /** Resolves or rejects like `promise`; rejects with UNAVAILABLE if that takes longer than the call may. */
  wait<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#expired])
  }

  /** Throws UNAVAILABLE if the time is over: what waited for its turn must not begin any more. */
  async assertTime(): Promise<void> {
    if (this.#host.monotonicMs() >= this.#endMs) await this.#expired
  }

  /** Waits, and rejects if there is no time left to go on in. */
  async pause(ms: number): Promise<void> {
    await this.wait(new Promise<void>((resolve) => this.#host.after(ms, resolve)))
  }

  get leftMs(): number {
    return Math.max(1, Math.round(this.#endMs - this.#host.monotonicMs()))
  }

  end(): void {
    this.#timer.cancel()
  }
}

/** Runs `body` with a call that takes so long at the most. */
export async function within<T>(host: Host, ms: number, what: string, body: (call: Call) => Promise<T>): Promise<T> {
  const call = new Call(host, ms, what)
  try {
    return await call.wait(body(call))
  } finally {
    call.end()
  }
}
