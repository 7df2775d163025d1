import { AtollError, type Host } from '@atoll/host'
import type { Channel, ConsumeMessage } from 'amqplib'
import type { ReadingConnection } from './client.ts'
import { codeOf, isElsewhere, isMissing } from './errors.ts'

/** A message as it comes from a stream. */
export interface Delivery {
  /** Its place in the stream. */
  readonly place: number
  readonly message: ConsumeMessage
}

/** A channel that reads one stream, for as long as RabbitMQ keeps it. */
export class StreamChannel {
  readonly stream: string
  readonly #connection: ReadingConnection
  readonly #channel: Channel
  readonly #host: Host
  /** Why it has ended. */
  #lost: AtollError | undefined
  readonly #waiting = new Set<() => void>()

  private constructor(stream: string, connection: ReadingConnection, channel: Channel, host: Host) {
    this.stream = stream
    this.#connection = connection
    this.#channel = channel
    this.#host = host
    channel.on('error', (error) => this.lose(error))
    channel.on('close', () => this.lose(new Error('the channel was closed')))
  }

  static async open(
    stream: string,
    connection: ReadingConnection,
    prefetch: number,
    host: Host,
  ): Promise<StreamChannel> {
    const channel = await connection.call(({ model }) => model.createChannel())
    const opened = new StreamChannel(stream, connection, channel, host)
    try {
      await connection.call(() => channel.prefetch(prefetch))
    } catch (error) {
      opened.close()
      throw error
    }
    return opened
  }

  get lost(): AtollError | undefined {
    return this.#lost
  }

  /** Asks RabbitMQ whether the stream is there. What had been sent on this channel by then has arrived. */
  async look(): Promise<boolean> {
    try {
      await this.#call((channel) => channel.checkQueue(this.stream))
      return true
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }

  /**
   * The place of the last message, for which it waits so long; undefined if none has come. And how many RabbitMQ
   * counts. The channel is good for nothing else: RabbitMQ sends on after a consumer was cancelled, which the library
   * takes for an error.
   */
  async end(waitMs: number): Promise<{ last: number | undefined; count: number }> {
    let last: number | undefined
    await this.consume('last', ({ place, message }) => {
      last = place
      this.ack(message)
    })
    await this.arrival(() => last !== undefined, waitMs)
    // `last` begins with the last chunk, which may have further messages; by now they are here
    const { messageCount } = await this.#call((channel) => channel.checkQueue(this.stream))
    return { last, count: messageCount }
  }

  /** From now on takes what comes from a place on. */
  async consume(from: 'first' | 'last' | number, take: (delivery: Delivery) => void): Promise<void> {
    const onMessage = (message: ConsumeMessage | null): void => {
      if (!message)
        return this.lose(new Error('RabbitMQ ended the consumer: the stream was deleted, or its node has gone'))
      take({ place: Number(message.properties.headers?.['x-stream-offset']), message })
      this.#wake()
    }
    try {
      await this.#call((channel) => channel.consume(this.stream, onMessage, { arguments: { 'x-stream-offset': from } }))
    } catch (error) {
      // it has left
      if (isElsewhere(error)) this.#connection.call(async (reading) => reading.leave(error)).catch(() => undefined)
      throw error
    }
  }

  /** This message and those before it make room for others. */
  ack(message: ConsumeMessage): void {
    if (!this.#lost) this.#channel.ack(message, true)
  }

  /**
   * Resolves with true when something has come after which `reached` is so, with false after `delayMs`. Rejects when
   * the channel ends.
   */
  async arrival(reached: () => boolean, delayMs: number): Promise<boolean> {
    const until = this.#host.monotonicMs() + delayMs
    while (!this.#lost && !reached()) {
      const leftMs = until - this.#host.monotonicMs()
      if (leftMs <= 0) return false
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          timer.cancel()
          this.#waiting.delete(wake)
          resolve()
        }
        const timer = this.#host.after(leftMs, wake)
        this.#waiting.add(wake)
      })
    }
    if (this.#lost) throw this.#lost
    return true
  }

  /** It is of no use any more. */
  lose(why: unknown): void {
    this.#lost ??=
      why instanceof AtollError
        ? why
        : new AtollError(
            'UNAVAILABLE',
            `reading ${this.stream} was interrupted: ${why instanceof Error ? why.message : String(why)}`,
            { cause: why },
          )
    this.#wake()
  }

  close(): void {
    if (this.#lost) return
    this.lose(new Error('it is not needed any more'))
    this.#channel.close().catch(() => undefined) // its connection has ended, and it with it
  }

  /** When RabbitMQ closes the channel, what waits for an answer hears only that; why, the channel has heard. */
  async #call<T>(use: (channel: Channel) => Promise<T>): Promise<T> {
    try {
      return await this.#connection.call(() => use(this.#channel))
    } catch (error) {
      throw codeOf(error) === undefined && this.#lost ? this.#lost : error
    }
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }
}
