import type { Host, Timer } from '@atoll/host'
import type { Store } from '@atoll/store/driver'
import { forgetAnswers } from '../command/answers.ts'
import type { createFaultLogger } from '../faults.ts'
import type { RuntimeOptions } from '../options.ts'
import { forgetDiscarded } from '../subscription/discarded.ts'
import type { Subscription } from '../subscription/subscription.ts'

/** What a service keeps for a time, and where. */
export interface Kept {
  readonly name: string
  readonly host: Host
  readonly options: RuntimeOptions
  readonly store: Store
  readonly subscriptions: ReadonlyMap<string, Subscription>
}

/**
 * Forgets what a service keeps for a time: answers to Idempotency-Keys (`answersKeptMs`), and discarded dead letters
 * (`discardedKeptMs`).
 */
export class Forgetting {
  readonly #kept: Kept
  readonly #faults: ReturnType<typeof createFaultLogger>
  #timer: Timer | undefined

  constructor(kept: Kept, faults: ReturnType<typeof createFaultLogger>) {
    this.#kept = kept
    this.#faults = faults
  }

  start(): void {
    const { name, host, options } = this.#kept
    this.#timer = host.after(Math.min(options.answersKeptMs, options.discardedKeptMs, FORGET_MS), () => {
      this.#forget().catch((error: unknown) =>
        this.#faults.warn({ service: name, error }, 'could not forget what has been kept for its time; will try again'),
      )
      this.start()
    })
  }

  stop(): void {
    this.#timer?.cancel()
  }

  async #forget(): Promise<void> {
    const { name, host, options, store, subscriptions } = this.#kept
    const now = host.now()
    await store.write((tx) => forgetAnswers(tx, now, options.answersKeptMs))
    for (const { ground } of subscriptions.values()) {
      const isProjection = ground.name !== name
      await forgetDiscarded(ground.store, ground.name, now - options.discardedKeptMs, { keepsNumbers: isProjection })
    }
  }
}

const FORGET_MS = 10 * 60 * 1000
