import { AtollError } from '@atoll/host'
import type { LogRecord } from '@atoll/log/driver'

/**
 * Notices events that lead to each other without end. If no time passes while they do, nobody who waits for a moment
 * would ever see it. A handling counts if its event goes back to one of the same name, by what caused it, within the
 * same moment: much that happens at once does not.
 */
export class Loops {
  readonly #handlingsMax: number
  readonly #nowMs: () => number
  #momentMs = 0
  /** Of this moment, by id. */
  readonly #events = new Map<string, { readonly type: string; readonly cause: string }>()
  /** How often each subscription has handled an event again, in this moment. */
  readonly #counts = new Map<string, number>()
  #handlings = 0
  #found: AtollError | undefined

  constructor(handlingsMax: number, nowMs: () => number) {
    this.#handlingsMax = handlingsMax
    this.#nowMs = nowMs
  }

  appended(records: readonly LogRecord[]): void {
    this.#look()
    for (const { id, type, cause } of records) this.#events.set(id, { type, cause })
  }

  handling(subscription: string, eventId: string): void {
    this.#look()
    const cycle = this.#cycleTo(eventId)
    if (!cycle) return
    const what = `${subscription} handled ${cycle.at(-1)}`
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1)
    if (++this.#handlings > this.#handlingsMax) this.#found ??= this.#describe(cycle)
  }

  /** What to say of a loop, once. */
  take(): AtollError | undefined {
    const found = this.#found
    if (found) this.#forget()
    return found
  }

  /** The names from the last event of the same name to this one, if there was one that led to it. */
  #cycleTo(eventId: string): string[] | undefined {
    const event = this.#events.get(eventId)
    if (!event) return undefined
    const names = [event.type]
    for (let cause = this.#events.get(event.cause); cause; cause = this.#events.get(cause.cause)) {
      names.unshift(cause.type)
      if (cause.type === event.type) return names
    }
    return undefined
  }

  #describe(cycle: readonly string[]): AtollError {
    const counts = [...this.#counts].map(([what, count]) => `${what} ${count} times`)
    return new AtollError(
      'NOT_QUIET',
      `events lead to each other without end: ${cycle.join(' → ')}. While no time passed, ${counts.join(', ')} (loopHandlingsMax is ${this.#handlingsMax}). Let a handler say when it is enough`,
    )
  }

  #look(): void {
    if (this.#nowMs() === this.#momentMs) return
    this.#momentMs = this.#nowMs()
    this.#forget()
  }

  #forget(): void {
    this.#events.clear()
    this.#counts.clear()
    this.#handlings = 0
    this.#found = undefined
  }
}
