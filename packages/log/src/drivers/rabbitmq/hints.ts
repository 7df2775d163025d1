import type { Channel, ConfirmChannel } from 'amqplib'
import { Listeners } from '../shared/listeners.ts'
import type { ReadingConnection, WriterConnection } from './client.ts'
import type { KnownNumbers } from './known.ts'
import { hintsKey, streamName } from './names.ts'

/** The exchange for hints. Every virtual host has it, so nobody needs to make one. */
const exchange = 'amq.direct'
/** Hints that wait for a slow process; older ones are dropped. */
const waitingMax = 1_000
/**
 * Hints of a connection that RabbitMQ has not confirmed yet; of what comes meanwhile, only the last is told. A node
 * that stands still confirms none for those who are connected there, and after 400 of them RabbitMQ would take nothing
 * more from the whole connection, appends neither.
 */
const unconfirmedMax = 100

/** What a log tells the others: from whom, and by partition the last number. */
interface Hint {
  readonly from: string
  readonly numbers: Readonly<Record<string, number>>
}

/**
 * Tells listeners of new records: of those of this log at once, of those of others by messages that nobody waits for.
 */
export class Hints {
  readonly #system: string
  readonly #token: string
  readonly #known: KnownNumbers
  readonly #onHeard: (stream: string) => void
  readonly #listeners = new Listeners()
  readonly #sources = new Set<string>()
  /** What is done, or being done, to hear of a source. */
  readonly #bound = new Map<string, Promise<void>>()
  #queue: string | undefined
  /** What others have not been told yet: by source and partition the last number. */
  readonly #untold = new Map<string, Map<number, number>>()
  readonly #unconfirmed = new WeakMap<ConfirmChannel, number>()

  constructor(system: string, token: string, known: KnownNumbers, onHeard: (stream: string) => void) {
    this.#system = system
    this.#token = token
    this.#known = known
    this.#onHeard = onHeard
  }

  /** Makes a queue on a new connection that is as short-lived as it. */
  async prepare(channel: Channel): Promise<void> {
    const { queue } = await channel.assertQueue('', { exclusive: true, autoDelete: true, maxLength: waitingMax })
    await channel.consume(queue, (message) => message && this.#hear(message.fields.routingKey, message.content), {
      noAck: true,
    })
    this.#queue = queue
    await Promise.all(
      [...this.#sources].map((source) => channel.bindQueue(queue, exchange, hintsKey(this.#system, source))),
    )
  }

  /**
   * Resolves when it hears of a source. What cannot be bound now is bound on the next connection, or when it is asked
   * for again.
   */
  follow(source: string, connection: ReadingConnection): Promise<void> {
    let bound = this.#bound.get(source)
    if (!bound) {
      this.#sources.add(source)
      bound = connection
        .call(({ channel }) => channel.bindQueue(this.#queue!, exchange, hintsKey(this.#system, source)))
        .then(
          // a connection has been prepared, so there is a queue
          () => undefined,
          () => void this.#bound.delete(source),
        )
      this.#bound.set(source, bound)
    }
    return bound
  }

  watch(source: string, listener: (partition: number) => void): () => void {
    return this.#listeners.watch(source, listener)
  }

  /** Tells everybody. Losing it costs others a moment, no more. */
  tell(source: string, numbers: ReadonlyMap<number, number>, connection: WriterConnection): void {
    this.#listeners.tell(source, numbers.keys())
    const untold = this.#untold.get(source)
    if (untold) for (const [partition, number] of numbers) untold.set(partition, number)
    else this.#untold.set(source, new Map(numbers))
    this.#tellOthers(connection)
  }

  #tellOthers(connection: WriterConnection): void {
    if (this.#untold.size > 0)
      connection.call(async ({ hints }) => this.#publish(hints, connection)).catch(() => undefined)
  }

  #publish(channel: ConfirmChannel, connection: WriterConnection): void {
    for (const [source, numbers] of this.#untold) {
      const unconfirmed = this.#unconfirmed.get(channel) ?? 0
      if (unconfirmed >= unconfirmedMax) return
      this.#unconfirmed.set(channel, unconfirmed + 1)
      this.#untold.delete(source)
      const hint: Hint = { from: this.#token, numbers: Object.fromEntries(numbers) }
      channel.publish(exchange, hintsKey(this.#system, source), Buffer.from(JSON.stringify(hint)), {}, () => {
        this.#unconfirmed.set(channel, this.#unconfirmed.get(channel)! - 1) // raised before
        this.#tellOthers(connection)
      })
    }
  }

  close(): void {
    this.#listeners.close()
  }

  #hear(key: string, content: Buffer): void {
    const source = key.slice(hintsKey(this.#system, '').length)
    const { from, numbers } = toHint(content)
    if (from === this.#token) return
    for (const [partition, number] of Object.entries(numbers)) {
      const stream = streamName(this.#system, source, Number(partition))
      this.#known.raise(stream, number, false)
      this.#onHeard(stream)
      this.#listeners.tell(source, [Number(partition)])
    }
  }
}

/** What is no hint says nothing. */
function toHint(content: Buffer): Hint {
  try {
    // by another log; what else comes by has no such fields, or is caught
    const { from, numbers } = JSON.parse(content.toString()) as Hint
    return {
      from,
      numbers: Object.fromEntries(Object.entries(numbers).filter(([, number]) => Number.isSafeInteger(number))),
    }
  } catch {
    return { from: '', numbers: {} }
  }
}
