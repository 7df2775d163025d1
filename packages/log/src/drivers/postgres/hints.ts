import { listen, type Listening, type Pool } from '@atoll/postgres'
import { Listeners } from '../shared/listeners.ts'
import type { Stream } from './appender.ts'

/** So many partitions go into one notification, which has 8000 bytes at the most. */
const partitionsPerHint = 1000
/** The least time between notifications, so that a busy log sends few large ones. */
const pauseMs = 5

/**
 * Tells listeners that there is something to read: those of this process at once, those of others by NOTIFY.
 *
 * The notification is not part of the append. Inside it, PostgreSQL would let all commits of the database that notify
 * wait for one another, fsync included. Sent after it, alone and without a write of its own, it costs next to nothing;
 * and that it may be lost is what a hint may be.
 */
export class Hints {
  readonly #pool: Pool
  readonly #channel: string
  /** By which a process knows its own notifications, of which it told its listeners already. */
  readonly #own: string
  readonly #listeners = new Listeners()
  readonly #pending = new Map<string, Set<number>>()
  #listening: Listening | undefined
  #sending: Promise<void> | undefined
  #endPause = (): void => {}
  #closed = false

  constructor(pool: Pool, channel: string) {
    this.#pool = pool
    this.#channel = channel
    this.#own = pool.host.hex(8)
  }

  watch(source: string, listener: (partition: number) => void): () => void {
    this.#listening ??= listen(this.#pool, this.#channel, (payload) => this.#hear(payload))
    return this.#listeners.watch(source, listener)
  }

  /** Says that these streams have new records. What comes while a notification is under way goes with the next one. */
  tell(streams: readonly Stream[]): void {
    for (const { source, partition } of streams) {
      this.#listeners.tell(source, [partition])
      const partitions = this.#pending.get(source) ?? new Set()
      this.#pending.set(source, partitions.add(partition))
    }
    if (this.#pending.size > 0) this.#sending ??= this.#send()
  }

  async #send(): Promise<void> {
    while (this.#pending.size > 0) {
      const payloads: string[] = []
      for (const [source, partitions] of this.#pending) {
        const all = [...partitions]
        for (let at = 0; at < all.length; at += partitionsPerHint)
          payloads.push(JSON.stringify([this.#own, source, all.slice(at, at + partitionsPerHint)]))
      }
      this.#pending.clear()
      await this.#pool
        .query('SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS hints (payload)', [this.#channel, payloads])
        .catch(() => 'a hint may be lost')
      await this.#pause()
    }
    this.#sending = undefined
  }

  async #pause(): Promise<void> {
    if (this.#closed) return
    await new Promise<void>((resolve) => {
      const timer = this.#pool.host.after(pauseMs, resolve)
      this.#endPause = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  /** Anybody may notify on the channel: what is not ours is not understood, and does no harm. */
  #hear(payload: string): void {
    let hint: unknown
    try {
      hint = JSON.parse(payload)
    } catch {
      return
    }
    if (!Array.isArray(hint)) return
    const [own, source, partitions] = hint as unknown[]
    if (own === this.#own || typeof source !== 'string' || !Array.isArray(partitions)) return
    this.#listeners.tell(
      source,
      (partitions as unknown[]).filter((partition) => typeof partition === 'number'),
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#endPause()
    this.#listeners.close()
    this.#listening?.close()
    await this.#sending
  }
}
