import { AtollError } from '@atoll/host'
import type { System } from 'atoll'
import type {
  Admin,
  Cancellation,
  Dispatch,
  Dispatched,
  Problem,
  Readiness,
  RunningService,
  RunningSystem,
  StopOptions,
} from 'atoll/runtime'

/**
 * A system that is there before its services are: they may have to wait for their engines. Until then it is not ready,
 * says why, and refuses what it is asked for.
 */
export class LateSystem implements RunningSystem {
  readonly system: System
  #running: RunningSystem | undefined
  #stopping = false
  /** Why the services do not run yet. */
  #waitsFor: Problem = { reason: 'the services have not started yet', brief: 'the services have not started yet' }
  /** Further things that keep the process from being ready. */
  readonly #problems: () => readonly Problem[]

  constructor(system: System, problems: () => readonly Problem[]) {
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

  waitFor({ code, reason }: AtollError): void {
    this.#waitsFor = { reason, brief: `the services have not started yet: ${code}` }
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
    const own = this.#running?.readiness() ?? {
      reasons: [this.#waitsFor.reason],
      brief: [this.#waitsFor.brief],
      warnings: [],
    }
    const stopping = this.#stopping ? ['the process is stopping'] : []
    const problems = this.#problems()
    const reasons = [...stopping, ...own.reasons, ...problems.map(({ reason }) => reason)]
    return {
      ready: reasons.length === 0,
      reasons,
      brief: [...stopping, ...own.brief, ...problems.map(({ brief }) => brief)],
      warnings: own.warnings,
    }
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
    throw new AtollError('UNAVAILABLE', `not yet: ${this.#waitsFor.reason}`)
  }
}
