import type { Socket } from 'node:net'
import { AtollError, type Host } from '@atoll/host'
import { connect, type Channel, type ChannelModel, type ConfirmChannel } from 'amqplib'
import type { Connection, Opening } from '../shared/connection.ts'
import { toAtollError } from './errors.ts'

/**
 * A connection that writes. RabbitMQ blocks those that do when it is short of disk or memory, so what reads has another
 * one.
 */
export interface Writer {
  readonly model: ChannelModel
  readonly channel: ConfirmChannel
  /**
   * For hints alone: it stands still with a node that does, for up to a minute, and what is appended must not wait for
   * it.
   */
  readonly hints: ConfirmChannel
  /**
   * Why RabbitMQ takes no messages now; undefined if it does. It says so when it is sent one, which it then does not
   * answer.
   */
  blocked: string | undefined
  /** Called when RabbitMQ takes no messages from now on. */
  readonly onBlocked: Set<() => void>
  /** Ids of messages that no stream took. */
  readonly returned: Set<string>
  /** Has it replaced. */
  giveUp(why: unknown): void
}

/** A connection that reads. */
export interface Reading {
  readonly model: ChannelModel
  /** For hints, and for asking whether RabbitMQ is there. */
  readonly channel: Channel
  /** Goes on to the next node, for this one does not have what is to be read; unless it has just come here. */
  leave(why: unknown): void
}

export type WriterConnection = Connection<Writer>
export type ReadingConnection = Connection<Reading>

export interface Rabbitmq {
  /** Of each node. */
  readonly nodes: readonly Node[]
  /** As the management page shows it. */
  readonly name: string
  readonly connectMs: number
  readonly host: Host
}

export function openWriter(rabbitmq: Rabbitmq): Opening<Writer> {
  return opening(rabbitmq, 'writes', async (model, lost) => {
    const [channel, hints] = await Promise.all([model.createConfirmChannel(), model.createConfirmChannel()])
    const writer: Writer = {
      model,
      channel,
      hints,
      blocked: undefined,
      onBlocked: new Set(),
      returned: new Set(),
      giveUp: lost,
    }
    for (const each of [channel, hints])
      each.on('error', lost).on('close', () => lost(new Error('the channel was closed')))
    channel.on('return', ({ properties }) => writer.returned.add(String(properties.messageId)))
    model.on('blocked', (reason) => {
      writer.blocked = reason
      for (const tell of [...writer.onBlocked]) tell()
    })
    model.on('unblocked', () => (writer.blocked = undefined))
    return writer
  })
}

export function openReading(rabbitmq: Rabbitmq, prepare: (channel: Channel) => Promise<void>): Opening<Reading> {
  let stayMs = stayMsMin
  return opening(rabbitmq, 'reads', async (model, lost) => {
    const channel = await model.createChannel()
    channel.on('error', lost).on('close', () => lost(new Error('the channel was closed')))
    await prepare(channel)
    const sinceMs = rabbitmq.host.monotonicMs()
    const leave = (why: unknown): void => {
      if (rabbitmq.nodes.length < 2 || rabbitmq.host.monotonicMs() - sinceMs < stayMs) return
      stayMs = Math.min(2 * stayMs, stayMsMax)
      lost(why)
    }
    return { model, channel, leave }
  })
}

function opening<Client extends { readonly model: ChannelModel }>(
  { nodes, name, connectMs, host }: Rabbitmq,
  purpose: string,
  prepare: (model: ChannelModel, lost: (why: unknown) => void) => Promise<Client>,
): Opening<Client> {
  const engine = `RabbitMQ at ${nodes.map(({ address }) => address).join(', ')}`
  let tries = 0
  return {
    engine,
    async open(lost, signal) {
      const { url } = nodes[tries++ % nodes.length]! // of one node at least
      const model = await connect(url, {
        timeout: connectMs,
        noDelay: true,
        keepAlive: true,
        clientProperties: { connection_name: `${name} ${purpose}` },
      })
      gather(streamOf(model))
      model.on('error', lost).on('close', (error) => lost(error ?? new Error('the connection was closed')))
      const abort = (): void => cut(model)
      signal.addEventListener('abort', abort)
      if (signal.aborted) abort()
      try {
        return await prepare(model, lost)
      } catch (error) {
        cut(model)
        throw error
      } finally {
        signal.removeEventListener('abort', abort) // from now on it ends by `end`
      }
    },
    end({ model }, isWell) {
      if (!isWell) return cut(model)
      const timer = host.after(politeMs, () => cut(model))
      model.close().then(
        () => timer.cancel(),
        () => cut(model),
      )
    },
    toError: (thrown) => toAtollError(thrown, engine),
  }
}

/**
 * How long a connection that reads stays where it is at the least, milliseconds; twice as long each time that it has
 * left, up to the most. Where no node has all streams, each is read for a while; and what no node has must not keep the
 * others from being read.
 */
const stayMsMin = 2_000
const stayMsMax = 120_000
/** How long RabbitMQ may take to agree that a connection ends, milliseconds. */
const politeMs = 1_000

/** Ends it at once, also where nobody answers: what is still to be sent is not sent. */
function cut(model: ChannelModel): void {
  streamOf(model).destroy(new Error('the connection was given up'))
}

/** The types leave it out, and there is no other way to end a silent connection. */
function streamOf(model: ChannelModel): Socket {
  return (model.connection as unknown as { readonly stream: Socket }).stream
}

/**
 * The library writes each frame by itself. What it writes in one go is sent in one go: writes to the socket cost more
 * than all else that it does.
 */
function gather(stream: Socket): void {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean // as it was called
  stream.write = (...args: unknown[]): boolean => {
    if (stream.writableCorked === 0) {
      stream.cork()
      process.nextTick(() => stream.uncork())
    }
    return write(...args)
  }
}

/** One node of RabbitMQ. */
export interface Node {
  /** For messages. */
  readonly address: string
  /** With the credentials. */
  readonly url: string
}

/**
 * The nodes of a url, which names them one after the other, divided by commas. Throws INVALID for one that cannot be.
 */
export function toNodes(url: string): Node[] {
  const [, kind, tls, login, hosts, path] = /^(amqp|rabbitmq)(s?):\/\/(?:([^/?#]*)@)?([^/?#@]+)(.*)$/.exec(url) ?? []
  return (hosts ?? '').split(',').map((each) => {
    const { hostname, port } = URL.parse(`http://${each}`) ?? {} // a scheme that URL knows how to take apart
    if (!kind || !hostname)
      throw new AtollError(
        'INVALID',
        'the url of a log on RabbitMQ begins with amqp:// or amqps://, such as amqp://user:password@host:5672/vhost; several nodes of a cluster are divided by commas, as in amqp://user:password@one:5672,two:5672/vhost',
      )
    return {
      address: `${hostname}:${port || (tls ? '5671' : '5672')}`,
      url: `amqp${tls}://${login === undefined ? '' : `${login}@`}${each}${path}`,
    }
  })
}
