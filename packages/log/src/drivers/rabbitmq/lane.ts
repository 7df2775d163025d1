import { AtollError, type Host } from '@atoll/host'
import type { Channel } from 'amqplib'
import type { Writer, WriterConnection } from './client.ts'
import { codeOf, isMissing } from './errors.ts'
import { toBody } from './format.ts'
import type { RabbitmqLogLimits } from './limits.ts'

/** Records of one append that go into one stream. */
interface Load {
  readonly rows: readonly string[]
  readonly numbers: readonly number[]
  /** How many of them are durable. */
  done: number
  resolve(): void
  reject(error: AtollError): void
}

/**
 * Writes to one stream, one message at a time: the next goes out when RabbitMQ has confirmed the one before it. So
 * nothing is ever written after a record that was not, and what comes meanwhile shares the next message. When a message
 * fails, so does all that waits behind it.
 */
export class Lane {
  readonly #stream: string
  readonly #connection: WriterConnection
  readonly #host: Host
  readonly #limits: RabbitmqLogLimits
  #loads: Load[] = []
  #isWriting = false
  #making: Promise<void> | undefined

  constructor(stream: string, connection: WriterConnection, host: Host, limits: RabbitmqLogLimits) {
    this.#stream = stream
    this.#connection = connection
    this.#host = host
    this.#limits = limits
  }

  /** Settles when the stream, which is being made, has been; undefined if it is not. */
  get making(): Promise<void> | undefined {
    return this.#making
  }

  /** Resolves when all rows are durable. After a rejection a beginning of them may be. */
  write(rows: readonly string[], numbers: readonly number[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#loads.push({ rows, numbers, done: 0, resolve, reject })
      if (!this.#isWriting) void this.#writeAll()
    })
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true
    await Promise.resolve() // what comes in the same turn shares the first message, too
    while (this.#loads.length > 0) {
      const { rows, first } = this.#next()
      try {
        await this.#publish(toBody(rows), first)
        this.#settle(rows.length)
      } catch (error) {
        const failed = this.#loads
        this.#loads = []
        for (const load of failed) load.reject(AtollError.from(error))
      }
    }
    this.#isWriting = false
  }

  /** As many rows as fit into a message, and the number of the first. */
  #next(): { rows: string[]; first: number } {
    const { messageRecordsMax, messageBytesMax } = this.#limits
    const [{ numbers, done }] = this.#loads as [Load] // called when there is one
    const rows: string[] = []
    let chars = 0
    for (const load of this.#loads) {
      for (let at = load.done; at < load.rows.length; at++) {
        const row = load.rows[at]!
        if (rows.length > 0 && (rows.length >= messageRecordsMax || chars + row.length > messageBytesMax))
          return { rows, first: numbers[done]! }
        rows.push(row)
        chars += row.length
      }
    }
    return { rows, first: numbers[done]! }
  }

  #settle(count: number): void {
    while (count > 0) {
      const load = this.#loads[0]!
      const added = Math.min(count, load.rows.length - load.done)
      load.done += added
      count -= added
      if (load.done < load.rows.length) return
      this.#loads.shift()
      load.resolve()
    }
  }

  /** A stream is made for its first record, and for no other: one that is missing later has been deleted. */
  async #publish(body: Buffer, first: number): Promise<void> {
    if (await this.#isTaken(body)) return
    const isThere = first === 1 ? await this.#make() : await this.#isThere()
    if (isThere) {
      if (await this.#isTaken(body)) return
      throw new AtollError(
        'UNAVAILABLE',
        `${this.#connection.engine} has stream ${this.#stream}, and does not bring messages to it`,
      )
    }
    throw new AtollError(
      'LOG_GAP',
      `stream ${this.#stream} is not there, and record ${first} was to be appended to it: records are lost. Restore it`,
    )
  }

  /** Whether there was a stream to take it. */
  async #isTaken(body: Buffer): Promise<boolean> {
    const messageId = this.#host.hex(12)
    const unanswered = new Set<Writer>()
    try {
      return await this.#connection.call((writer) => {
        const { engine } = this.#connection
        if (writer.blocked !== undefined) throw blocked(engine, writer.blocked)
        return new Promise((resolve, reject) => {
          const options = {
            mandatory: true,
            persistent: true,
            messageId,
            contentType: 'application/json',
            type: 'atoll.records',
          }
          const end = (): void => {
            unanswered.delete(writer)
            writer.onBlocked.delete(refuse)
          }
          const refuse = (): void => {
            end() // it may be written later; then it is there twice
            reject(blocked(engine, writer.blocked ?? 'it did not say why'))
          }
          unanswered.add(writer)
          writer.onBlocked.add(refuse)
          writer.channel.publish('', this.#stream, body, options, (error: unknown) => {
            end()
            if (error) reject(error)
            else resolve(!writer.returned.delete(messageId))
          })
        })
      })
    } catch (error) {
      // After a restart RabbitMQ may send what comes for a stream to where it was before, as long as the channel lasts,
      // and confirm what comes for others.
      for (const writer of unanswered) writer.giveUp(error)
      throw error
    }
  }

  async #make(): Promise<true> {
    const making = this.#create()
    this.#making = making.catch(() => undefined).finally(() => (this.#making = undefined))
    await making
    return true
  }

  /** A stream that somebody made with other settings stays as it is; an examination tells of them. */
  async #create(): Promise<void> {
    try {
      await this.#ask((channel) => channel.assertQueue(this.#stream, streamOptions))
    } catch (error) {
      if (codeOf(error) !== 406) throw error
    }
  }

  async #isThere(): Promise<boolean> {
    try {
      await this.#ask((channel) => channel.checkQueue(this.#stream))
      return true
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }

  /** On a channel of its own, because RabbitMQ closes it if the answer is no. */
  #ask(question: (channel: Channel) => Promise<unknown>): Promise<void> {
    return this.#connection.call(async ({ model }) => {
      const channel = await model.createChannel()
      channel.on('error', () => {})
      await question(channel)
      await channel.close()
    })
  }
}

/** What the log makes its streams with: nothing that would let them forget. */
export const streamOptions = { durable: true, arguments: { 'x-queue-type': 'stream' } }

function blocked(engine: string, reason: string): AtollError {
  return new AtollError(
    'STORE_FULL',
    `${engine} takes no messages, for it is short of disk or memory (${reason}). Nothing that was acknowledged is lost; make room, and writing resumes`,
  )
}
