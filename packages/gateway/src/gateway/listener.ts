import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { AtollError, type Logger } from '@atoll/host'
import { Connections, Gone, listenAt } from '@atoll/host/node'
import type { Cancellation } from 'atoll/runtime'
import type { GatewayRequest, GatewayResponse } from './exchange.ts'
import type { GatewayLimits } from './options.ts'
import { toResponse } from './stages/problem.ts'

/** Carries HTTP/1.1 to the gateway and back. What HTTP itself forbids is refused before it gets there. */
export class Listener {
  readonly #server: Server
  readonly #connections: Connections
  readonly #logger: Logger
  readonly #handle: (request: GatewayRequest) => Promise<GatewayResponse>
  #closing: Promise<void> | undefined

  constructor(limits: GatewayLimits, logger: Logger, handle: (request: GatewayRequest) => Promise<GatewayResponse>) {
    this.#logger = logger
    this.#handle = handle
    // Node.js refuses one that is longer
    const headersTimeout = Math.min(limits.headersTimeoutMs, limits.requestTimeoutMs)
    this.#server = createServer({
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(1_000, headersTimeout),
      requireHostHeader: true,
    })
    this.#connections = new Connections(this.#server, limits, {
      serve: (request, response) => void this.#exchange(request, response),
      refusal: toRefusal,
    })
  }

  async listen(port: number, host: string): Promise<{ url: string }> {
    const { port: taken, urlHost } = await listenAt(
      this.#server,
      { port, host },
      {
        portTaken: `port ${port} is taken; stop what listens there, or choose another one (--port, or PORT)`,
        addressRefused: (code) =>
          `the gateway cannot listen at ${host}:${port}: ${code}; choose ${remedies.get(code) ?? 'an address of this machine (gateway.host)'}`,
      },
    )
    return { url: `http://${host === '127.0.0.1' ? 'localhost' : urlHost}:${taken}` }
  }

  close(drainMs: number): Promise<void> {
    this.#closing ??= this.#connections.close(drainMs)
    return this.#closing
  }

  /** Never rejects: nobody waits for it, so a rejection would end the process. */
  async #exchange(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let requestId = 'none'
    try {
      const answer = await this.#handle(new HttpRequest(request, response, this.#connections))
      requestId = answer.headers['x-request-id'] ?? requestId
      this.#send(request, response, answer)
    } catch (error) {
      this.#fail(request, response, requestId, error)
    }
  }

  #send(request: IncomingMessage, response: ServerResponse, { status, headers, body }: GatewayResponse): void {
    this.#connections.send(request, response, status, headers, body)
  }

  /**
   * An answer that cannot be sent becomes a bare 500; or, if some of it went out already, the end of the connection.
   */
  #fail(request: IncomingMessage, response: ServerResponse, requestId: string, error: unknown): void {
    try {
      if (response.headersSent) response.destroy()
      else
        this.#send(
          request,
          response,
          toResponse(new AtollError('INTERNAL', 'the answer could not be sent'), requestId, undefined),
        )
      this.#logger.error({ requestId, error: AtollError.from(error) }, 'an answer could not be sent')
    } catch {
      response.destroy() // not even the log takes it
    }
  }
}

class HttpRequest implements GatewayRequest {
  readonly method: string
  readonly url: string
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #connections: Connections
  #gone: Gone | undefined

  constructor(request: IncomingMessage, response: ServerResponse, connections: Connections) {
    this.method = request.method ?? 'GET'
    this.url = request.url ?? '/'
    this.#request = request
    this.#response = response
    this.#connections = connections
  }

  get headers(): IncomingMessage['headers'] {
    return this.#request.headers
  }

  get address(): string {
    return this.#request.socket.remoteAddress ?? 'unknown'
  }

  signal(): Cancellation {
    return (this.#gone ??= new Gone(this.#response))
  }

  body(bytesMax: number): Promise<string> {
    return this.#connections.readBody(this.#request, this.#response, bytesMax)
  }
}

/** The answer to something that never became a request. */
function toRefusal(error: AtollError): { headers: Record<string, string>; body: string } {
  const { headers, body } = toResponse(error, 'none', undefined)
  return { headers, body: body! } // a problem has one
}

/** What to choose otherwise where it is the port that is refused, and not the address. */
const remedies: ReadonlyMap<string | undefined, string> = new Map([
  ['EACCES', 'a port that this account may take, such as one from 1024 on (--port, or PORT)'],
  ['ERR_SOCKET_BAD_PORT', 'a port from 0 to 65535 (--port, or PORT)'],
])
