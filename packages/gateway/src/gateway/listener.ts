import { once } from 'node:events'
import { createServer, validateHeaderValue, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { AtollError, type ErrorCode, type Logger } from '@atoll/host'
import { prepareToClose } from '@atoll/host/node'
import type { Cancellation } from 'atoll/runtime'
import type { GatewayRequest, GatewayResponse } from './exchange.ts'
import type { GatewayLimits } from './options.ts'
import { toResponse } from './problem.ts'

/** Carries HTTP/1.1 to the gateway and back. What HTTP itself forbids is refused here. */
export class Listener {
  readonly #server: Server
  readonly #logger: Logger
  readonly #handle: (request: GatewayRequest) => Promise<GatewayResponse>
  readonly #end: (drainMs: number) => Promise<void>
  #closing: Promise<void> | undefined

  constructor(limits: GatewayLimits, logger: Logger, handle: (request: GatewayRequest) => Promise<GatewayResponse>) {
    this.#logger = logger
    this.#handle = handle
    this.#server = createServer({
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
      requireHostHeader: true,
    })
    this.#server.maxConnections = limits.connectionsMax
    this.#end = prepareToClose(this.#server)
    this.#server.on('request', (request, response) => void this.#exchange(request, response))
    this.#server.on('clientError', refuseClient)
  }

  async listen(port: number, host: string): Promise<{ url: string }> {
    this.#server.listen(port, host)
    try {
      await once(this.#server, 'listening')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw AtollError.from(error)
      throw new AtollError('PORT_TAKEN', `port ${port} is taken; stop what listens there, or choose another one (PORT)`, { cause: error })
    }
    const address = this.#server.address() as AddressInfo // it listens on TCP
    return { url: `http://${host === '127.0.0.1' ? 'localhost' : host}:${address.port}` }
  }

  close(drainMs: number): Promise<void> {
    this.#closing ??= this.#end(drainMs)
    return this.#closing
  }

  /** Never rejects: nobody waits for it, so a rejection would end the process. */
  async #exchange(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let requestId = 'none'
    try {
      const answer = await this.#handle(new HttpRequest(request, response))
      requestId = answer.headers['x-request-id'] ?? requestId
      this.#send(request, response, answer)
    } catch (error) {
      this.#fail(request, response, requestId, error)
    }
  }

  #send(request: IncomingMessage, response: ServerResponse, { status, headers, body }: GatewayResponse): void {
    if (response.destroyed) return
    if (body !== undefined) headers['content-length'] = String(Buffer.byteLength(body))
    if (this.#closing || !request.complete) headers['connection'] = 'close' // what is left of a refused body is not read
    for (const name in headers) validateHeaderValue(name, headers[name]!) // writeHead would throw half way
    response.writeHead(status, headers)
    response.end(request.method === 'HEAD' ? undefined : body)
    if (!request.complete) request.resume()
  }

  /** An answer that cannot be sent becomes a bare 500; or, if some of it went out already, the end of the connection. */
  #fail(request: IncomingMessage, response: ServerResponse, requestId: string, error: unknown): void {
    try {
      if (response.headersSent) response.destroy()
      else this.#send(request, response, toResponse(new AtollError('INTERNAL', 'the answer could not be sent'), requestId, undefined))
      this.#logger.error({ requestId, error: AtollError.from(error) }, 'an answer could not be sent')
    } catch {
      response.destroy() // the log was the last that could have been told
    }
  }
}

class HttpRequest implements GatewayRequest {
  readonly method: string
  readonly url: string
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  #gone: Gone | undefined

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.method = request.method ?? 'GET'
    this.url = request.url ?? '/'
    this.#request = request
    this.#response = response
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
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      let bytes = 0
      this.#request.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes <= bytesMax) chunks.push(chunk)
        else {
          this.#request.removeAllListeners('data').pause()
          reject(new AtollError('BODY_TOO_LARGE', `the body has more than ${bytesMax} bytes (bodyBytesMax)`))
        }
      })
      this.#request.once('end', () => resolve(chunks.length === 1 ? chunks[0]!.toString() : Buffer.concat(chunks).toString()))
      this.#request.once('error', (error) => reject(new AtollError('CANCELLED', 'the client went away before its body had arrived', { cause: error })))
    })
  }
}

/** Says when the client has gone before it had its answer. An AbortController for each request would cost as much as finding its route. */
class Gone implements Cancellation {
  aborted = false
  readonly reason = 'the client went away'
  readonly #listeners: (() => void)[] = []

  constructor(response: ServerResponse) {
    response.once('close', () => {
      if (response.writableFinished) return
      this.aborted = true
      for (const listener of this.#listeners.splice(0)) listener()
    })
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.push(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const at = this.#listeners.indexOf(listener)
    if (at >= 0) this.#listeners.splice(at, 1)
  }
}

const clientErrors: Readonly<Record<string, { code: ErrorCode; reason: string }>> = {
  HPE_HEADER_OVERFLOW: { code: 'HEADERS_TOO_LARGE', reason: 'the headers are over the limit (headerBytesMax)' },
  ERR_HTTP_REQUEST_TIMEOUT: { code: 'REQUEST_TIMEOUT', reason: 'the request did not arrive in time' },
}

/** A request that never became one: not HTTP, too much of it, or too slow. It is answered, and the connection closed. */
function refuseClient(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable) return void socket.destroy()
  const known = clientErrors[error.code ?? ''] ?? { code: 'MALFORMED', reason: 'this is not an HTTP request that can be trusted' }
  const { status, headers, body = '' } = toResponse(new AtollError(known.code, known.reason, { cause: error }), 'none', undefined)
  const lines = Object.entries({ ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' }).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${known.code}\r\n${lines.join('')}\r\n${body}`)
}
