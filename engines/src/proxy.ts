import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { Connection } from './proxy/connection.ts'
import { Meter } from './proxy/meter.ts'
import { findPorts, HOST } from './run/ports.ts'

/**
 * What stands between a client and its server, and does to their connections what networks do. It begins by passing all
 * on.
 */
export interface Proxy {
  readonly host: string
  readonly port: number
  /** Passes on what comes, at once; also what was held up before. */
  pass(): Promise<void>
  /**
   * Passes on what comes after so long, in order, in each direction. It holds little, so it also limits how much goes
   * through.
   */
  delay(ms: number): Promise<void>
  /** Tears all connections (RST), on both sides, and refuses new ones. */
  reset(): Promise<void>
  /**
   * Keeps connections open, takes new ones, passes nothing on in either direction, and tells neither side when the
   * other has gone.
   */
  silence(): Promise<void>
  /**
   * Keeps connections open, takes new ones, and loses what comes over them: in both directions, or only what the server
   * says. Connections of that time stay so for good, unless their client ends them; new ones work when it passes again.
   */
  lose(what: 'everything' | 'answers'): Promise<void>
  /** Tears all connections, once, as soon as clients have sent so many bytes more, which are passed on. */
  resetAfter(bytes: number): void
  /** How many connections clients have opened so far. */
  readonly accepted: number
  /** How many of them are open. */
  readonly open: number
  /** Tears all connections and stops listening, for good. */
  close(): Promise<void>
}

/**
 * Starts a proxy on a free port of loopback. Its methods are not for several callers at once; what they say holds when
 * they resolve.
 */
export async function startProxy({ target }: { target: { host: string; port: number } }): Promise<Proxy> {
  const proxy = new TcpProxy(target, await findPorts(1))
  await proxy.pass()
  return proxy
}

class TcpProxy implements Proxy {
  readonly host = HOST
  readonly port: number
  readonly #server: Server
  readonly #connections = new Set<Connection>()
  readonly #meter = new Meter()
  #mode: 'pass' | 'silence' | 'lose everything' | 'lose answers' = 'pass'
  #delayMs = 0
  #accepted = 0

  constructor(target: { host: string; port: number }, port: number) {
    this.port = port
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) => {
      this.#accepted++
      const connection = new Connection(client, target, this.#meter)
      this.#connections.add(connection)
      connection.onOver = () => this.#connections.delete(connection)
      this.#rule(connection)
    })
  }

  async pass(): Promise<void> {
    await this.delay(0)
  }

  async delay(ms: number): Promise<void> {
    this.#mode = 'pass'
    this.#delayMs = ms
    await this.#listen()
  }

  async silence(): Promise<void> {
    this.#mode = 'silence'
    await this.#listen()
  }

  async lose(what: 'everything' | 'answers'): Promise<void> {
    this.#mode = `lose ${what}`
    await this.#listen()
  }

  resetAfter(bytes: number): void {
    this.#meter.begin(bytes, () => this.#tear())
  }

  get accepted(): number {
    return this.#accepted
  }

  get open(): number {
    return this.#connections.size
  }

  async reset(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#tear()
    await closed
  }

  async close(): Promise<void> {
    await this.reset()
  }

  async #listen(): Promise<void> {
    for (const connection of this.#connections) this.#rule(connection)
    if (this.#server.listening) return
    this.#server.listen(this.port, this.host)
    await once(this.#server, 'listening')
  }

  #tear(): void {
    for (const connection of this.#connections) connection.tear()
  }

  #rule(connection: Connection): void {
    if (this.#mode === 'pass') connection.go(this.#delayMs)
    else if (this.#mode === 'silence') connection.halt()
    else connection.lose({ answersOnly: this.#mode === 'lose answers' })
  }
}
