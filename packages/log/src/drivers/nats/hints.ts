import type { Subscription } from '@nats-io/transport-node'
import { Listeners } from '../shared/listeners.ts'
import type { Names } from './names.ts'
import type { Session } from './session.ts'

/** Who of this process listens to a source. */
interface Watched {
  listeners: number
  subscription: Subscription | undefined
  /** The partitions that there ever was news of. */
  readonly partitions: Set<number>
}

/**
 * Hints between processes. Whoever has written says so afterwards, in a small message that nobody keeps; what is
 * published to the stream itself would come before it is durable, and a reader would look too early and then wait.
 */
export class Hints {
  readonly #names: Names
  readonly #listeners = new Listeners()
  readonly #watched = new Map<string, Watched>()
  #session: Session | undefined

  constructor(names: Names) {
    this.#names = names
  }

  watch(source: string, listener: (partition: number) => void): () => void {
    const watched = this.#watched.get(source) ?? { listeners: 0, subscription: undefined, partitions: new Set() }
    this.#watched.set(source, watched)
    watched.listeners++
    const remove = this.#listeners.watch(source, listener)
    if (!watched.subscription && this.#session?.isUp) this.#subscribe(this.#session, source, watched)
    let hasEnded = false
    return () => {
      if (hasEnded) return
      hasEnded = true
      remove()
      if (--watched.listeners > 0) return
      if (this.#session?.isUp) watched.subscription?.unsubscribe()
      this.#watched.delete(source)
    }
  }

  /** Listens again, and tells of everything: what happened meanwhile, nobody heard. */
  onSession(session: Session): void {
    this.#session = session
    for (const [source, watched] of this.#watched) {
      this.#subscribe(session, source, watched)
      this.#listeners.tell(source, watched.partitions)
    }
  }

  /** There are durable records in these partitions. */
  tell(session: Session, source: string, partitions: ReadonlySet<number>): void {
    this.#hear(source, partitions)
    if (session.isUp) session.publish(this.#names.news(source), JSON.stringify([...partitions]))
  }

  close(): void {
    this.#listeners.close()
    this.#watched.clear()
  }

  #subscribe(session: Session, source: string, watched: Watched): void {
    watched.subscription = session.subscribe(this.#names.news(source), (message) => {
      this.#hear(source, toPartitions(message.data))
    })
  }

  #hear(source: string, partitions: Iterable<number>): void {
    const watched = this.#watched.get(source)
    if (!watched) return
    for (const partition of partitions)
      if (watched.partitions.size < partitionsKeptMax) watched.partitions.add(partition)
    this.#listeners.tell(source, partitions)
  }
}

/** Far more than a source has; what comes over the wire must not fill the memory. */
const partitionsKeptMax = 4096

function toPartitions(data: Uint8Array): number[] {
  try {
    const partitions: unknown = JSON.parse(Buffer.from(data).toString('utf8'))
    return Array.isArray(partitions)
      ? partitions.filter((partition): partition is number => Number.isInteger(partition))
      : []
  } catch {
    return [] // somebody else's; it was only a hint
  }
}
