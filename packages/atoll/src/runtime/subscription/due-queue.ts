/** Keys by when they are due, the longest due first: a binary heap. What was set anew or taken back leaves it when it comes up. */
export class DueQueue {
  readonly #dueMs = new Map<string, number>()
  readonly #heap: Entry[] = []

  /** A key is due at that time, and at no other. */
  set(key: string, dueMs: number): void {
    if (this.#dueMs.get(key) === dueMs) return
    this.#dueMs.set(key, dueMs)
    const entry = { key, dueMs }
    const heap = this.#heap
    let at = heap.push(entry) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      if (heap[above]!.dueMs <= dueMs) break
      heap[at] = heap[above]!
      at = above
    }
    heap[at] = entry
  }

  delete(key: string): void {
    this.#dueMs.delete(key)
  }

  clear(): void {
    this.#dueMs.clear()
    this.#heap.length = 0
  }

  /** When the first key is due; undefined if there is none. */
  get firstMs(): number | undefined {
    for (;;) {
      const first = this.#heap[0]
      if (!first || this.#dueMs.get(first.key) === first.dueMs) return first?.dueMs
      this.#pop()
    }
  }

  /** Takes out the first key, if it is due by then. */
  take(nowMs: number): string | undefined {
    const { firstMs } = this
    if (firstMs === undefined || firstMs > nowMs) return undefined
    const { key } = this.#pop()!
    this.#dueMs.delete(key)
    return key
  }

  #pop(): Entry | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (heap.length === 0 || !last) return first
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && heap[below + 1]!.dueMs < heap[below]!.dueMs) below++
      if (heap[below]!.dueMs >= last.dueMs) break
      heap[at] = heap[below]!
      at = below
    }
    heap[at] = last
    return first
  }
}

interface Entry {
  readonly key: string
  readonly dueMs: number
}
