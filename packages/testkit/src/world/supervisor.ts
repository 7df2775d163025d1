import type { Host, Timer } from '@atoll/host'

/**
 * Starts instances anew that have ended by themselves, as whatever supervises processes does: under the same name, a
 * while later.
 */
export class Supervisor {
  readonly #surroundings: Host
  readonly #launch: (service: string, name: string) => Promise<void>
  /** Instances that are to come back, by name. */
  readonly #coming = new Map<string, { readonly service: string; readonly timer: Timer }>()

  /** `launch` does nothing if there is an instance of that name. */
  constructor(surroundings: Host, launch: (service: string, name: string) => Promise<void>) {
    this.#surroundings = surroundings
    this.#launch = launch
  }

  restart(service: string, name: string, afterMs: number): void {
    const timer = this.#surroundings.after(afterMs, () => {
      this.#coming.delete(name)
      void this.#launch(service, name)
    })
    this.#coming.set(name, { service, timer })
  }

  /** Somebody has taken a service in hand: what it was to be started with is no longer wanted. */
  forget(service: string): void {
    for (const [name, coming] of this.#coming) {
      if (coming.service !== service) continue
      coming.timer.cancel()
      this.#coming.delete(name)
    }
  }

  /** Those that are to come back. */
  get coming(): readonly string[] {
    return [...this.#coming.keys()]
  }
}
