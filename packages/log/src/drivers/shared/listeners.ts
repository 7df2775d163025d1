/** A listener's own registration, so that the same function may be registered twice. */
interface Registration {
  listener: ((partition: number) => void) | undefined
}

/** Who wants to know of new records, by source. */
export class Listeners {
  readonly #bySource = new Map<string, Set<Registration>>()

  /** Returns what ends it; no call comes after that. */
  watch(source: string, listener: (partition: number) => void): () => void {
    const registration: Registration = { listener }
    const registrations = this.#bySource.get(source) ?? new Set()
    this.#bySource.set(source, registrations.add(registration))
    return () => {
      registration.listener = undefined
      registrations.delete(registration)
    }
  }

  /**
   * Calls each in a microtask of its own: one that throws keeps no other from being told, and its error is not lost.
   */
  tell(source: string, partitions: Iterable<number>): void {
    const registrations = this.#bySource.get(source)
    if (!registrations) return
    for (const partition of partitions)
      for (const registration of registrations) queueMicrotask(() => registration.listener?.(partition))
  }

  close(): void {
    for (const registrations of this.#bySource.values())
      for (const registration of registrations) registration.listener = undefined
    this.#bySource.clear()
  }
}
