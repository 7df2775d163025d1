import { AtollError, type Host, type Logger } from '@atoll/host'
import { connect, credsAuthenticator, errors, nkeyAuthenticator, type ConnectionOptions } from '@nats-io/transport-node'
import { Reachability } from '../shared/reachability.ts'
import type { NatsLogLimits } from './limits.ts'
import { Session } from './session.ts'
import { closingLeftovers } from './sockets.ts'

/** Credentials. Default: those in the server URL, else none. */
export type NatsCredentials =
  | { readonly user: string; readonly password: string }
  | { readonly token: string }
  | { readonly nkeySeed: string }
  /** The contents of a `.creds` file. */
  | { readonly creds: string }

/** Files for TLS. It is used anyway where the server asks for it. */
export interface NatsTls {
  readonly caFile?: string
  readonly certFile?: string
  readonly keyFile?: string
  /** The server speaks TLS from the first byte on. */
  readonly handshakeFirst?: boolean
}

export interface ConnectionSettings {
  readonly servers: readonly string[]
  readonly name: string
  readonly credentials?: NatsCredentials | undefined
  readonly tls?: NatsTls | undefined
}

/** Keeps a session with one of the servers: makes it, and makes it anew whenever it falls, until it is closed. */
export class Connection {
  readonly #settings: ConnectionSettings
  readonly #servers: readonly Server[]
  readonly #host: Host
  readonly #limits: NatsLogLimits
  readonly #onSession: (session: Session) => void
  readonly #reachability: Reachability
  #session: Session | undefined
  /** Other servers of the cluster, as one of them told. */
  #learned: readonly Server[] = []
  readonly #closed = new AbortController()

  constructor(
    settings: ConnectionSettings,
    host: Host,
    logger: Logger,
    limits: NatsLogLimits,
    onSession: (session: Session) => void,
  ) {
    this.#settings = settings
    this.#servers = settings.servers.map(toServer)
    this.#host = host
    this.#limits = limits
    this.#onSession = onSession
    this.#reachability = new Reachability(
      { engine: this.engine, attempt: () => this.#open() },
      host,
      logger,
      limits.reconnectMsMax,
    )
  }

  get engine(): string {
    return `NATS at ${this.#servers.map(({ place }) => place).join(', ')}`
  }

  /** Begins. Resolves after the first try, however it went, or after `startMs`. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#host.after(this.#limits.startMs, resolve)
      void this.#reachability.start().then(() => {
        timer.cancel()
        resolve()
      })
    })
  }

  /** The session of the moment. Throws UNAVAILABLE, with the reason, while there is none. */
  session(): Session {
    this.#reachability.assert()
    return this.#session! // it is there while the server is within reach
  }

  /** Ends the session, and the trying. */
  close(): void {
    this.#closed.abort()
    void this.#reachability.close()
    this.#session?.end('it is not used any more')
  }

  async #open(): Promise<void> {
    try {
      await this.#openOne()
    } catch (error) {
      throw this.#unavailable(reasonOf(error), error)
    }
  }

  #unavailable(reason: string, cause?: unknown): AtollError {
    return new AtollError('UNAVAILABLE', `${this.engine} cannot be reached: ${reason}`, { cause })
  }

  async #openOne(): Promise<void> {
    const { credentials, tls, name } = this.#settings
    const connection = await closingLeftovers(this.#closed.signal, () =>
      connect({
        servers: [...this.#servers, ...this.#learned].map(({ place }) => place),
        name,
        ...authentication(credentials ?? this.#servers.find((server) => server.credentials)?.credentials),
        ...(tls ? { tls } : this.#servers.some((server) => server.isTls) && { tls: {} }),
        reconnect: false, // what one connection was told must not be sent by the next: see Session
        noEcho: true, // hints are for others
        timeout: this.#limits.connectMs,
      }),
    )
    if (this.#closed.signal.aborted) return void connection.close()
    const session = new Session(connection, this.#host, this.#limits)
    session.onEnd((reason) => {
      this.#session = undefined
      this.#reachability.lost(this.#unavailable(reason))
    })
    this.#session = session
    this.#learned = (connection.info?.connect_urls ?? [])
      .filter((place) => !this.#servers.some((server) => server.place === place))
      .map(toServer)
    this.#onSession(session)
  }
}

/** A server by its URL; `place` has no secrets. */
interface Server {
  readonly place: string
  readonly isTls: boolean
  readonly credentials: NatsCredentials | undefined
}

function toServer(text: string): Server {
  try {
    const { protocol, hostname, port, username, password } = new URL(text.includes('://') ? text : `nats://${text}`)
    if (hostname === '') throw new Error('no host')
    const user = decodeURIComponent(username)
    const credentials =
      user === '' ? undefined : password === '' ? { token: user } : { user, password: decodeURIComponent(password) }
    return { place: `${hostname}:${port || '4222'}`, isTls: protocol === 'tls:', credentials }
  } catch (cause) {
    throw new AtollError(
      'INVALID',
      'one of the servers is not the URL of a NATS server; write it as nats://host:port',
      { cause },
    )
  }
}

function authentication(credentials: NatsCredentials | undefined): ConnectionOptions {
  if (!credentials) return {}
  if ('user' in credentials) return { user: credentials.user, pass: credentials.password }
  if ('token' in credentials) return { token: credentials.token }
  const encoder = new TextEncoder()
  return {
    authenticator:
      'creds' in credentials
        ? credsAuthenticator(encoder.encode(credentials.creds))
        : nkeyAuthenticator(encoder.encode(credentials.nkeySeed)),
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError)
    return `the server refuses the credentials (${error.message}); correct them`
  if (error instanceof errors.TimeoutError) return 'a server accepts connections and does not answer'
  return error instanceof Error ? error.message : String(error)
}
