import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { AtollError, type Logger } from '@atoll/host'
import { Connections, createSecretCheck, Gone, listenAt, type ConnectionLimits } from '@atoll/host/node'
import type { Cancellation } from 'atoll/runtime'

export interface ListenerLimits extends ConnectionLimits {
  /** Largest body of a request, bytes. */
  readonly bodyBytesMax: number
  /** Time for a whole request to arrive, milliseconds. */
  readonly requestTimeoutMs: number
  /** How long an idle connection is kept, milliseconds. */
  readonly keepAliveTimeoutMs: number
}

/** One request, and the means to answer it. */
export interface Exchange {
  readonly method: string
  /** Path without the query string, decoded. */
  readonly path: string
  readonly query: URLSearchParams
  /**
   * Whether it comes from a process of the system: it knows the secret, or there is none. False only of who asks for
   * health.
   */
  readonly isTrusted: boolean
  /** Reads the body as text. BODY_TOO_LARGE, CANCELLED. */
  body(): Promise<string>
  /** Aborts when the other side goes away before its answer is out. */
  readonly gone: Cancellation
  answer(status: number, body: string): void
  /** Begins an answer of many lines. */
  stream(): { write(line: string): Promise<void>; end(): void }
}

/**
 * HTTP/1.1 between processes of one system. Refuses who does not know the secret, and web pages: a browser on the same
 * machine reaches loopback addresses too, and must not call with the rights of a service.
 */
export class Listener {
  readonly #server: Server
  readonly #limits: ListenerLimits
  readonly #logger: Logger
  readonly #knowsSecret: (header: string | undefined) => boolean
  readonly #serve: (exchange: Exchange) => Promise<void>
  readonly #toFailure: (error: AtollError) => string
  readonly #connections: Connections
  #closing: Promise<void> | undefined

  constructor(
    limits: ListenerLimits,
    secret: string | undefined,
    logger: Logger,
    serve: (exchange: Exchange) => Promise<void>,
    toFailure: (error: AtollError) => string,
  ) {
    this.#limits = limits
    this.#logger = logger
    this.#knowsSecret = secret === undefined ? () => true : createSecretCheck(secret)
    this.#serve = serve
    this.#toFailure = toFailure
    const headersTimeout = Math.min(10_000, limits.requestTimeoutMs)
    this.#server = createServer({
      requestTimeout: limits.requestTimeoutMs,
      headersTimeout,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(1_000, headersTimeout),
    })
    this.#connections = new Connections(this.#server, limits, {
      serve: (request, response) => void this.#exchange(request, response),
      refusal: (error) => ({ headers: { 'content-type': JSON_TYPE }, body: toFailure(error) }),
    })
  }

  /** PORT_TAKEN if the port is. */
  async listen(port: number, host: string): Promise<{ url: string; port: number }> {
    const { port: taken, urlHost } = await listenAt(
      this.#server,
      { port, host },
      {
        portTaken: `port ${port} is taken; stop what listens there, or choose another one (--calls-port, or calls.port; of a registry --port)`,
        addressRefused: (code) =>
          `cannot listen at ${host}:${port}: ${code}; give an address of this machine and a port from 0 to 65535 that this account may take`,
      },
    )
    return { url: `http://${urlHost}:${taken}`, port: taken }
  }

  /** From now on each answer is the last of its connection, so that whoever calls often opens none here any more. */
  endConnections(): void {
    this.#connections.end()
  }

  /** Takes no more connections, lets answers go out, `drainMs` at the most, and closes. Idempotent. */
  close(drainMs: number): Promise<void> {
    this.#closing ??= this.#connections.close(drainMs)
    return this.#closing
  }

  /** Never rejects: nobody waits for it, so a rejection would end the process. */
  async #exchange(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = toUrl(request.url ?? '/')
      const isTrusted = this.#knowsSecret(request.headers.authorization)
      const exchange = new HttpExchange(request, response, url, isTrusted, this.#limits.bodyBytesMax, this.#connections)
      if (request.headers.origin !== undefined) throw new AtollError('FORBIDDEN', 'web pages may not call services')
      if (!isOpen(request.method, url.pathname) && !isTrusted) {
        throw new AtollError(
          'UNAUTHENTICATED',
          'the secret for calls is missing or wrong; every process of a system needs the same ATOLL_CALLS_SECRET',
        )
      }
      await this.#serve(exchange)
    } catch (thrown) {
      this.#fail(request, response, AtollError.from(thrown))
    }
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: AtollError): void {
    if (error.code === 'INTERNAL')
      this.#logger.error({ path: request.url, error }, 'a request between processes failed')
    if (response.destroyed) return
    if (response.headersSent) return void response.destroy()
    this.#connections.send(
      request,
      response,
      error.status,
      { 'content-type': JSON_TYPE, connection: 'close' },
      this.#toFailure(error),
    )
  }
}

/** Those who ask for health cannot keep a secret; so they are told none. */
function isOpen(method: string | undefined, path: string): boolean {
  return method === 'GET' && (path === '/livez' || path === '/readyz')
}

class HttpExchange implements Exchange {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly isTrusted: boolean
  readonly gone: Gone
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #bodyBytesMax: number
  readonly #connections: Connections

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    isTrusted: boolean,
    bodyBytesMax: number,
    connections: Connections,
  ) {
    this.method = request.method ?? 'GET'
    this.path = decodePath(url.pathname)
    this.query = url.searchParams
    this.isTrusted = isTrusted
    this.gone = new Gone(response)
    this.#request = request
    this.#response = response
    this.#bodyBytesMax = bodyBytesMax
    this.#connections = connections
  }

  body(): Promise<string> {
    // A browser can send other types without asking first.
    if (!/^application\/json\b/.test(this.#request.headers['content-type'] ?? '')) {
      return Promise.reject(new AtollError('UNSUPPORTED_MEDIA_TYPE', 'the body is not application/json'))
    }
    return this.#connections.readBody(this.#request, this.#response, this.#bodyBytesMax)
  }

  answer(status: number, body: string): void {
    this.#connections.send(this.#request, this.#response, status, { 'content-type': JSON_TYPE }, body)
  }

  stream(): { write(line: string): Promise<void>; end(): void } {
    const response = this.#response
    response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8', connection: 'close' })
    return {
      write(line) {
        if (response.destroyed || response.write(`${line}\n`)) return Promise.resolve()
        return new Promise((resolve) => {
          const go = (): void => {
            response.off('drain', go).off('close', go)
            resolve()
          }
          response.on('drain', go).on('close', go)
        })
      },
      end: () => void response.end(),
    }
  }
}

function toUrl(target: string): URL {
  if (!URL.canParse(target, 'http://here'))
    throw new AtollError('MALFORMED', 'the request target is neither a path nor a URL')
  return new URL(target, 'http://here')
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw new AtollError('MALFORMED', 'the path is not well-formed')
  }
}

const JSON_TYPE = 'application/json; charset=utf-8'
