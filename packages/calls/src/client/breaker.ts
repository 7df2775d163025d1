import {
  CircuitState,
  circuitBreaker,
  ExponentialBackoff,
  handleWhen,
  type CircuitBreakerPolicy,
  type IBreaker,
} from 'cockatiel'
import type { Host, Timer } from '@atoll/host'
import { Fault } from './fault.ts'
import type { ClientLimits } from './limits.ts'

/**
 * Leaves out an instance that does not do its part, and lets it in again when it says that it is ready. Calls are no
 * probes: somebody waits for them.
 */
export class Breaker {
  readonly #policy: CircuitBreakerPolicy
  readonly #host: Host
  readonly #probe: () => Promise<void>
  #timer: Timer | undefined
  #isProbing = false
  #closed = false

  constructor(
    host: Host,
    limits: ClientLimits,
    probe: () => Promise<void>,
    onChange: (isOut: boolean, why: string) => void,
  ) {
    this.#host = host
    this.#probe = probe
    const policy: CircuitBreakerPolicy = circuitBreaker(
      handleWhen((error) => error instanceof Fault && error.isJudged),
      {
        breaker: new Verdict(limits.lostInARowMax, () => faultOf(policy)),
        halfOpenAfter: new ExponentialBackoff({ initialDelay: limits.outMsMin, maxDelay: limits.outMsMax }),
      },
    )
    this.#policy = policy
    policy.onStateChange((state) => {
      if (state === CircuitState.Closed) onChange(false, '')
      if (state !== CircuitState.Open || this.#isProbing) return
      this.#isProbing = true
      onChange(true, this.why)
      this.#probeLater()
    })
  }

  get isOut(): boolean {
    return this.#policy.state !== CircuitState.Closed
  }

  /** What it was left out for. */
  get why(): string {
    return faultOf(this.#policy)?.message ?? ''
  }

  /** Whether it is left out because it does not take the secret of this process. */
  get refusesSecret(): boolean {
    return this.isOut && faultOf(this.#policy)?.refusesSecret === true
  }

  /** Runs a call, and judges by it. */
  judge<T>(call: () => Promise<T>): Promise<T> {
    return this.#policy.execute(call)
  }

  /** Nothing is judged any more. */
  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  /** Tries often, because the policy alone knows when it lets a probe through; most tries end at once there. */
  #probeLater(): void {
    if (this.#closed) return
    this.#timer = this.#host.after(LOOK_MS, () => {
      this.#policy.execute(this.#probe).then(
        () => (this.#isProbing = false),
        () => this.#probeLater(),
      )
    })
  }
}

function faultOf(policy: CircuitBreakerPolicy): Fault | undefined {
  const last = policy.lastFailure
  return last && 'error' in last && last.error instanceof Fault ? last.error : undefined
}

/** When to leave an instance out: at once for what is decisive, else after so many in a row. */
class Verdict implements IBreaker {
  state = 0
  readonly #max: number
  readonly #last: () => Fault | undefined

  constructor(max: number, last: () => Fault | undefined) {
    this.#max = max
    this.#last = last
  }

  success(): void {
    this.state = 0
  }

  failure(): boolean {
    this.state++
    return this.#last()?.isDecisive === true || this.state >= this.#max
  }
}

const LOOK_MS = 50
