import { isIP } from 'node:net'
import type { ConnectionOptions as TlsOptions } from 'node:tls'
import { AtollError, type Host, type Logger } from '@atoll/host'
import { Connection, metadataV12, ProtocolError, type API, type SASLOptions } from '@platformatic/kafka'
import { Call } from './call.ts'
import { answerOf, isNetworkFailure, isTimeout, toAtollError } from './errors.ts'
import { Reachability } from '../shared/reachability.ts'
import type { KafkaLogLimits } from './limits.ts'

/** Where the brokers are, and how to get in. */
export interface ClusterOptions {
  /** `host:port` of some of them; the others are learned. */
  readonly brokers: readonly Address[]
  readonly clientId: string
  readonly sasl: SASLOptions | undefined
  readonly tls: TlsOptions | undefined
}

export interface Address {
  readonly host: string
  readonly port: number
}

/** What is known of a topic. Out of date when a broker says so: then {@link Cluster.forget} it. */
export interface Topic {
  readonly name: string
  /** Another one when the topic was deleted and made anew. */
  readonly id: string
  /** By partition. */
  readonly leaders: readonly Leader[]
}

export interface Leader {
  /** The broker that leads the partition; -1 while none does. */
  readonly node: number
  /** Grows each time that another one leads. */
  readonly epoch: number
}

/**
 * Requests share a connection and are answered in turn, so each kind of work has one of its own: what waits at a broker
 * must not hold up what does not.
 */
export type Lane = 'control' | 'read' | 'watch' | `append-${number}`

/**
 * The brokers, the connections to them, and what is known of topics. While no broker can be reached it goes on trying,
 * and {@link assertUp} throws.
 *
 * The library's clients are not used, but its connections and requests: they retry by rules of their own, and number
 * batches per client, where the log must know what became of each batch, and who may write the next one.
 */
export class Cluster {
  readonly #options: ClusterOptions
  readonly #host: Host
  readonly #limits: KafkaLogLimits
  readonly #links = new Map<string, { readonly connection: Connection; readonly ready: Promise<Connection> }>()
  readonly #nodes = new Map<number, Address>()
  readonly #topics = new Map<string, Topic>()
  readonly #looks = new Map<string, Promise<Topic | undefined>>()
  #controller = -1
  readonly #reachability: Reachability
  #closed = false

  constructor(options: ClusterOptions, host: Host, logger: Logger, limits: KafkaLogLimits) {
    this.#options = options
    this.#host = host
    this.#limits = limits
    this.#reachability = new Reachability(
      { engine: this.engine, attempt: () => this.#attempt() },
      host,
      logger,
      limits.reconnectMsMax,
    )
  }

  get engine(): string {
    return `Kafka at ${this.#options.brokers.map(({ host, port }) => `${host}:${port}`).join(', ')}`
  }

  /** Begins to connect. Resolves after the first try, whether it succeeded or not. */
  async connect(): Promise<void> {
    await this.#reachability.start()
  }

  /** Throws UNAVAILABLE, with the reason, while the brokers cannot be reached. */
  assertUp(): void {
    this.#reachability.assert()
  }

  /** The connection to a broker for one kind of work; made if there is none. */
  async node(id: number, lane: Lane): Promise<Connection> {
    const address = this.#nodes.get(id)
    if (!address)
      throw id === -1 ? new ProtocolError('LEADER_NOT_AVAILABLE') : new ProtocolError('BROKER_NOT_AVAILABLE')
    return this.at(address, lane)
  }

  async at(address: Address, lane: Lane): Promise<Connection> {
    try {
      return await this.#link(address, lane)
    } catch (error) {
      this.#report(error)
      throw error
    }
  }

  /** Any broker, one that is connected already if there is one. */
  async any(): Promise<Connection> {
    let failure: unknown
    for (const address of this.#addresses) {
      try {
        return await this.#link(address, 'control')
      } catch (error) {
        failure = error
      }
    }
    this.#report(failure)
    throw failure
  }

  /** Who creates topics. */
  async controller(): Promise<Connection> {
    return this.#nodes.has(this.#controller) ? this.node(this.#controller, 'control') : this.any()
  }

  /** Sends one request. The errors are the library's own; `toAtollError` says them in our words. */
  async request<Arguments extends unknown[], Answer>(
    connection: Connection,
    api: API<Arguments, Answer>,
    ...args: Arguments
  ): Promise<Answer> {
    try {
      return await api.async(connection, ...args)
    } catch (error) {
      this.#report(error)
      throw error
    }
  }

  /** A topic as it was last known, or as the brokers know it; undefined if there is none. */
  async topic(name: string): Promise<Topic | undefined> {
    const known = this.#topics.get(name)
    if (known) return known
    let look = this.#looks.get(name)
    if (!look) {
      look = this.#lookUp(name).finally(() => this.#looks.delete(name))
      this.#looks.set(name, look)
    }
    return look
  }

  /** What was known of a topic is out of date. */
  forget(name: string): void {
    this.#topics.delete(name)
  }

  /** Asks about topics, all if null. Errors of single topics are in the answer. Learns where the brokers are. */
  async metadata(names: string[] | null): Promise<metadataV12.MetadataResponse> {
    return this.#metadataFrom(await this.any(), names)
  }

  /** Ends all connections, which rejects what waits for them. */
  async close(): Promise<void> {
    this.#closed = true
    const reached = this.#reachability.close()
    const links = [...this.#links.values()]
    this.#links.clear()
    await Promise.all(links.map(({ connection }) => connection.close().catch(() => undefined)))
    await reached
  }

  /** Where to look for brokers: those that are connected first, then those known, then those named. */
  get #addresses(): Address[] {
    const known = [...this.#nodes.values()]
    const all = [
      ...known,
      ...this.#options.brokers.filter(
        ({ host, port }) => !known.some((node) => node.host === host && node.port === port),
      ),
    ]
    const isLinked = ({ host, port }: Address): boolean => this.#links.has(`${host}:${port}/control`)
    return [...all.filter(isLinked), ...all.filter((address) => !isLinked(address))]
  }

  #link({ host, port }: Address, lane: Lane): Promise<Connection> {
    const key = `${host}:${port}/${lane}`
    const known = this.#links.get(key)
    if (known && !isOver(known.connection)) return known.ready
    if (this.#closed)
      return Promise.reject(
        new AtollError('LOG_CLOSED', 'the log was closed while it was in use; stop what uses it before closing it'),
      )
    const { sasl, tls, clientId } = this.#options
    const connection = new Connection(clientId, {
      connectTimeout: this.#limits.connectMs,
      requestTimeout: this.#limits.callMs + (lane === 'watch' ? this.#limits.watchMs : 0),
      maxInflights: inFlightMax,
      ...(sasl && { sasl }),
      ...(tls && { tls, tlsServerName: isIP(host) === 0 }),
    })
    const ready = connection.connect(host, port) as Promise<void> // a promise, since no callback is given
    const link = { connection, ready: ready.then(() => connection) }
    const drop = (): void => {
      if (this.#links.get(key) === link) this.#links.delete(key)
    }
    connection.on('error', drop) // without a listener an error would end the process
    connection.on('close', drop)
    link.ready.catch(drop)
    this.#links.set(key, link)
    return link.ready
  }

  async #metadataFrom(connection: Connection, names: string[] | null): Promise<metadataV12.MetadataResponse> {
    const answer = await this.request(connection, metadataV12.api, names, false, false).catch((error: unknown) => {
      const partial = answerOf<metadataV12.MetadataResponse>(error)
      if (!partial) throw error
      return partial
    })
    if (answer.brokers.length > 0) this.#nodes.clear()
    for (const { nodeId, host, port } of answer.brokers) this.#nodes.set(nodeId, { host, port })
    this.#controller = answer.controllerId
    return answer
  }

  async #lookUp(name: string): Promise<Topic | undefined> {
    const found = (await this.metadata([name])).topics.find((topic) => topic.name === name)
    if (!found || found.errorCode === UNKNOWN_TOPIC) return undefined
    if (found.errorCode !== 0) throw new ProtocolError(found.errorCode)
    const leaders = found.partitions
      .toSorted((a, b) => a.partitionIndex - b.partitionIndex)
      .map(({ leaderId, leaderEpoch }) => ({ node: leaderId, epoch: leaderEpoch }))
    const topic = { name, id: found.topicId, leaders }
    if (leaders.every(({ node }) => node !== -1)) this.#topics.set(name, topic)
    return topic
  }

  /** Something failed. If it was the way to a broker, look whether any can be reached. */
  #report(error: unknown): void {
    if (this.#closed || !isNetworkFailure(error)) return
    this.#topics.clear() // others will lead what this broker led, and not tell
    this.#reachability.doubt(isTimeout(error) ? toAtollError(error, `${this.engine} does not answer`) : undefined)
  }

  /** Asks all brokers at once whether they are there; one that answers is enough, whatever the others do. */
  async #attempt(): Promise<void> {
    try {
      await Promise.any(this.#addresses.map((address) => this.#ask(address)))
    } catch (error) {
      // Promise.any rejects with nothing else, and there is one address at least
      throw toAtollError((error as AggregateError).errors[0], this.engine)
    }
  }

  async #ask(address: Address): Promise<void> {
    const call = new Call(
      this.#host,
      this.#limits.connectMs,
      `connecting to ${address.host}:${address.port}`,
      'connectMs',
    )
    try {
      await call.wait(this.#metadataFrom(await call.wait(this.#link(address, 'control')), []))
    } catch (error) {
      const link = this.#links.get(`${address.host}:${address.port}/control`)
      if (link) void link.connection.close().catch(() => undefined)
      throw error
    } finally {
      call.end()
    }
  }
}

function isOver({ status }: Connection): boolean {
  return status === 'closed' || status === 'closing' || status === 'error'
}

const UNKNOWN_TOPIC = 3

/** More than are ever under way: a request that waited in the library would not be timed. */
const inFlightMax = 1000
