import { Heap } from '@atoll/host'

/**
 * Keys by when they are due, the longest due first. What was set anew or taken back leaves the heap when it comes up.
 */
export class DueQueue {
  readonly #dueMs = new Map<string, number>()
  readonly #heap = new Heap<Entry>((a, b) => a.dueMs < b.dueMs)

  /** A key is due at that time, and at no other. */
  set(key: string, dueMs: number): void {
    if (this.#dueMs.get(key) === dueMs) return
    this.#dueMs.set(key, dueMs)
    this.#heap.push({ key, dueMs })
  }

  delete(key: string): void {
    this.#dueMs.delete(key)
  }

  clear(): void {
    this.#dueMs.clear()
    this.#heap.clear()
  }

  /** When the first key is due; undefined if there is none. */
  get firstMs(): number | undefined {
    for (;;) {
      const { first } = this.#heap
      if (!first || this.#dueMs.get(first.key) === first.dueMs) return first?.dueMs
      this.#heap.take()
    }
  }

  /** Takes out the first key, if it is due by then. */
  take(nowMs: number): string | undefined {
    const { firstMs } = this
    if (firstMs === undefined || firstMs > nowMs) return undefined
    const { key } = this.#heap.take()!
    this.#dueMs.delete(key)
    return key
  }
}

interface Entry {
  readonly key: string
  readonly dueMs: number
}
