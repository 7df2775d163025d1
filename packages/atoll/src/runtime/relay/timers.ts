import type { Host, Logger, Timer } from '@atoll/host'
import type { Statement, Store, Value } from '@atoll/store/driver'
import { createFaultLogger } from '../faults.ts'
import type { RuntimeOptions } from '../options.ts'
import { insertEvent } from './outbox.ts'
import type { Relay } from './relay.ts'

export const deleteTimer: Statement = { sql: 'DELETE FROM atoll_timers WHERE id = ?' }
const selectNext: Statement = { sql: 'SELECT min(due_at) AS "dueAt" FROM atoll_timers' }
const selectDue: Statement = {
  sql: 'SELECT id, partition, type, version, key, data, trace, cause FROM atoll_timers WHERE due_at <= ? ORDER BY due_at, id LIMIT ?',
}

const selectTooFar: Statement = {
  sql: 'SELECT EXISTS (SELECT 1 FROM atoll_timers WHERE due_at > delay_ms + ?) AS "isTooFar"',
}
const updateTooFar: Statement = { sql: 'UPDATE atoll_timers SET due_at = delay_ms + ? WHERE due_at > delay_ms + ?' }

interface TimerRow {
  id: string
  partition: number
  type: string
  version: number
  key: string
  data: string
  trace: string
  cause: string
}

/**
 * Emits events whose time has come. Firing is one transaction that deletes the timer and leaves its event in the
 * outbox: it happens once, whoever else looks at the same time, and from there on a timer is an event like any other,
 * with its order, its tries and its place in the ledger.
 */
export class Timers {
  readonly #service: string
  readonly #store: Store
  readonly #host: Host
  readonly #faults: ReturnType<typeof createFaultLogger>
  readonly #options: RuntimeOptions
  readonly #relay: Relay
  #timer: Timer | undefined
  #firing: Promise<void> | undefined
  #stopped = true
  /** Which look at the store is the last one that was begun. */
  #looks = 0
  /** How far the wall clock is before the one that nobody sets, when it was last looked at. */
  #wallAheadMs = Infinity

  constructor(service: string, store: Store, host: Host, logger: Logger, options: RuntimeOptions, relay: Relay) {
    this.#service = service
    this.#store = store
    this.#host = host
    this.#faults = createFaultLogger(logger, host)
    this.#options = options
    this.#relay = relay
  }

  /**
   * Resolves when the next timer is set, or its store could not be asked or written to: then it tries again by itself.
   */
  start(): Promise<void> {
    this.#stopped = false
    return this.#arm().catch((error: unknown) => this.#failed(error))
  }

  /** A timer was set; it may be the next. */
  wake(): void {
    void this.#arm().catch((error: unknown) => this.#failed(error))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#firing
  }

  async #arm(): Promise<void> {
    if (this.#stopped || this.#firing) return
    const look = ++this.#looks
    await this.#bringNearer()
    const next = await this.#store.reader.get<{ dueAt: number | null }>(selectNext)
    // one that began later knows more, whichever is answered first
    if (this.#stopped || this.#firing || look !== this.#looks) return
    this.#timer?.cancel()
    // The wall clock may have jumped by the time it wakes, so firing looks again; and it looks at least every so often:
    // another instance may have set a timer, and be gone.
    const delayMs = Math.min(Math.max(0, (next?.dueAt ?? Infinity) - this.#host.now()), LOOK_MS_MAX)
    this.#timer = this.#host.after(delayMs, () => {
      const firing = this.#fire().finally(() => {
        this.#firing = undefined
      })
      this.#firing = firing.then(
        () => this.wake(),
        (error: unknown) => this.#failed(error),
      )
    })
  }

  /**
   * In the store a timer is due by the wall clock, which goes on while nobody is there. Where that was set back, no
   * timer is further away than the delay that it was set with; one that was set for a time waits for it.
   */
  async #bringNearer(): Promise<void> {
    const now = this.#host.now()
    const aheadMs = now - this.#host.monotonicMs()
    if (this.#wallAheadMs - aheadMs > SET_BACK_MS) {
      // a store that is full is not written to without need
      const found = await this.#store.reader.get<{ isTooFar: number | boolean }>(selectTooFar, [now])
      if (found?.isTooFar) await this.#store.write((tx) => tx.run(updateTooFar, [now, now]))
    } else if (aheadMs < this.#wallAheadMs) return // many small steps are a large one
    this.#wallAheadMs = aheadMs
  }

  async #fire(): Promise<void> {
    let fired = 0
    do {
      fired = await this.#store.write(async (tx) => {
        const now = this.#host.now()
        const rows = await tx.all<TimerRow>(selectDue, [now, this.#options.relayBatchMax])
        const events = rows.map((row): Value[] => [
          row.partition,
          row.id, // no two events come of one timer
          row.type,
          row.version,
          row.key,
          now,
          row.data,
          row.trace,
          row.cause,
        ])
        await tx.runEach(
          deleteTimer,
          rows.map((row) => [row.id]),
        )
        await tx.runEach(insertEvent, events)
        return rows.length
      })
      if (fired > 0) this.#relay.announce()
    } while (fired === this.#options.relayBatchMax && !this.#stopped)
  }

  #failed(error: unknown): void {
    if (this.#stopped) return
    this.#faults.warn(
      { service: this.#service, error },
      'timers could not fire; they are still set, and will be tried again',
    )
    this.#timer?.cancel()
    this.#timer = this.#host.after(this.#options.lookMs, () => this.wake())
  }
}

/** A wall clock that is behind by more than this was set back, and not only slowed down. */
const SET_BACK_MS = 1_000
/** A clock that jumps forward should not find every timer asleep for long. */
const LOOK_MS_MAX = 60_000
