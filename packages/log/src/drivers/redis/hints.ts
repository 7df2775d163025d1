import { silentLogger, type Host, type Timer } from '@atoll/host'
import { Connection, type ConnectionLimits } from '../shared/connection.ts'
import { Listeners } from '../shared/listeners.ts'
import { openRedis, type Redis, type RedisConnection } from './client.ts'
import { hintsChannel } from './names.ts'

/**
 * Tells listeners of new records: of those of this log at once, of those of others by what the script publishes. The
 * subscription has a connection of its own, because Redis cuts off subscribers who are slow to read, and readers of
 * records may be.
 */
export class Hints {
  readonly #system: string
  readonly #host: Host
  readonly #lookMs: number
  readonly #connection: RedisConnection
  readonly #listeners = new Listeners()
  readonly #sources = new Set<string>()
  readonly #subscribed = new Set<string>()
  /** Tells what this log published from what others did. */
  readonly token: string
  #started = false
  #timer: Timer | undefined
  #closed = false

  constructor(system: string, redis: Redis, host: Host, limits: ConnectionLimits) {
    this.#system = system
    this.#host = host
    this.#lookMs = limits.callMs
    this.token = host.hex(8)
    const opening = openRedis({ ...redis, name: `${redis.name}-hints` }, async () => this.#subscribed.clear())
    // the other connection tells of the same trouble
    this.#connection = new Connection(opening, host, silentLogger, limits)
  }

  watch(source: string, listener: (partition: number) => void): () => void {
    this.#sources.add(source)
    if (this.#started) void this.#subscribe()
    else {
      this.#started = true
      void this.#connection.start().then(() => this.#look())
    }
    return this.#listeners.watch(source, listener)
  }

  tell(source: string, partitions: Iterable<number>): void {
    this.#listeners.tell(source, partitions)
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#listeners.close()
    this.#connection.close()
  }

  /** Notices a connection that has become silent, and subscribes again on the one that replaced it. */
  async #look(): Promise<void> {
    if (this.#closed) return
    await this.#subscribe()
    await this.#connection.call((client) => client.ping()).catch(() => undefined) // the connection sees to it
    if (this.#closed) return
    this.#timer = this.#host.after(this.#connection.isConnected ? this.#lookMs : retryMs, () => void this.#look())
  }

  async #subscribe(): Promise<void> {
    const missing = [...this.#sources].filter((source) => !this.#subscribed.has(source))
    for (const source of missing) this.#subscribed.add(source)
    const subscribe = (source: string): Promise<void> =>
      this.#connection
        .call((client) =>
          client.subscribe(hintsChannel(this.#system, source), (message) => this.#hear(source, message)),
        )
        .catch(() => void this.#subscribed.delete(source)) // tried again at the next look
    await Promise.all(missing.map(subscribe))
  }

  #hear(source: string, message: string): void {
    const [token, partitions = ''] = message.split(' ')
    if (token !== this.token) this.tell(source, partitions.split(',').map(Number))
  }
}

/** How soon a subscriber looks again whether it is connected. */
const retryMs = 200
