import { AtollError } from '@atoll/host'
import type { System } from 'atoll'
import type { Admin, Cancellation, Dispatch, Dispatched, Readiness, RunningService, RunningSystem, StopOptions } from 'atoll/runtime'

/**
 * A system that is there before its services are: they may have to wait for their engines. Until then it is not ready, says why, and refuses
 * what it is asked for.
 */
export class LateSystem implements RunningSystem {
  readonly system: System
  #running: RunningSystem | undefined
  #stopping = false
  /** Why the services do not run yet. */
  #waitsFor = 'the services have not started yet'
  /** Further things that keep the process from being ready. */
  readonly #problems: () => readonly string[]

  constructor(system: System, problems: () => readonly string[]) {
    this.system = system
    this.#problems = problems
  }

  /** From here on it is this one. */
  become(running: RunningSystem): void {
    this.#running = running
  }

  /** Whether its services run. */
  get isRunning(): boolean {
    return this.#running !== undefined
  }

  waitFor(what: string): void {
    this.#waitsFor = what
  }

  /** It is not ready any more, so that those who balance turn to others; what it is asked for is still done. */
  stepBack(): void {
    this.#stopping = true
  }

  async dispatch(operation: string, request: Dispatch): Promise<Dispatched> {
    return this.#there.dispatch(operation, request)
  }

  get services(): ReadonlyMap<string, RunningService> {
    return this.#running?.services ?? new Map<string, RunningService>()
  }

  get admin(): Admin {
    return this.#there.admin
  }

  readiness(): Readiness {
    const own = this.#running?.readiness() ?? { reasons: [this.#waitsFor], warnings: [] }
    const reasons = [...(this.#stopping ? ['the process is stopping'] : []), ...own.reasons, ...this.#problems()]
    return { ready: reasons.length === 0, reasons, warnings: own.warnings }
  }

  get idle(): boolean {
    return this.#running?.idle ?? true
  }

  quiet(signal?: Cancellation): Promise<void> {
    return this.#there.quiet(signal)
  }

  async stop(options?: StopOptions): Promise<void> {
    await this.#running?.stop(options)
  }

  get #there(): RunningSystem {
    if (this.#running) return this.#running
    throw new AtollError('UNAVAILABLE', `not yet: ${this.#waitsFor}`)
  }
}
