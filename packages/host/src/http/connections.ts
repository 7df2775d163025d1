import { once } from 'node:events'
import { validateHeaderValue, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Server as SocketServer, type Socket } from 'node:net'
import type { ErrorCode } from '../codes.ts'
import { AtollError } from '../error.ts'
import { Bodies } from './bodies.ts'
import { flawOf } from './framing.ts'
import { findQuiet } from './quiet.ts'
import { clientOf, Turns } from './turns.ts'

/** Bounds what one client, and all of them together, can hold on to in an HTTP server. */
export interface ConnectionLimits {
  /**
   * Connections at a time. When one more comes, the connection that has waited longest for its client to send or to
   * read is closed; if none waits, the new one is.
   */
  readonly connectionsMax: number
  /**
   * Requests of one connection that wait for the answer to the one before. One more is refused with OVERLOADED when its
   * turn comes, and the connection ends.
   */
  readonly pipelinedMax: number
  /** The same over all connections. With more, the connections whose requests have waited longest are closed. */
  readonly pipelinedTotalMax: number
  /**
   * How long a client that has an answer to read may go without reading, milliseconds; then the connection is closed.
   */
  readonly answerTimeoutMs: number
  /**
   * Answers that clients have not read yet, bytes over all connections. With more, the connections that have waited
   * longest are closed.
   */
  readonly unsentBytesMax: number
  /**
   * Bodies that have not arrived in full, bytes over all connections. With more, the bodies that have been arriving
   * longest are refused with OVERLOADED.
   */
  readonly arrivingBytesMax: number
  /**
   * How long a connection that is ending keeps reading, milliseconds: the rest of a refused body, or a request that is
   * on its way.
   */
  readonly lingerMs: number
}

/** Serves the requests of {@link Connections}, one of a connection at a time. */
export interface ConnectionHandler {
  /** Answers a request through {@link Connections.send}, or by itself. Must not throw. */
  serve(request: IncomingMessage, response: ServerResponse): void
  /** The answer to something that never became a request. */
  refusal(error: AtollError): { readonly headers: Readonly<Record<string, string>>; readonly body: string }
}

/**
 * The connections of an HTTP server. Node.js answers all requests of a connection at once, keeps what nobody reads,
 * waits for a client to close its half, and cuts off idle connections when it closes. Each of these lets clients take a
 * server down, or loses them an answer.
 */
export class Connections {
  readonly #server: Server
  readonly #limits: ConnectionLimits
  readonly #handler: ConnectionHandler
  readonly #connections = new Map<Socket, Connection>()
  /** Sockets with answers that are not taken yet, and how large they are. Those that have waited longest come first. */
  readonly #unsent = new Map<Socket, number>()
  #unsentBytes = 0
  /**
   * Connections that wait for their client: for a request, the rest of a body, or the reading of an answer. Those that
   * have waited longest come first.
   */
  readonly #awaited = new Set<Connection>()
  readonly #bodies: Bodies
  /**
   * Connections on which requests wait behind another one, and how many do. Those that have waited longest come first.
   */
  readonly #pipelined = new Map<Connection, number>()
  #pipelinedTotal = 0
  /** Connections on which a request waits to be served. */
  readonly #turns = new Turns<Connection>((connection) => this.#serveNext(connection))
  #isEnding = false
  /** Connections whose client has been answered after the end, and has had its time to ask once more. */
  readonly #lingered = new Set<Connection>()

  /** Takes the server over: its requests and errors come to `handler`. */
  constructor(server: Server, limits: ConnectionLimits, handler: ConnectionHandler) {
    this.#server = server
    this.#limits = limits
    this.#handler = handler
    this.#bodies = new Bodies(limits.arrivingBytesMax)
    server.timeout = limits.answerTimeoutMs // Node.js begins it anew whenever the client took something
    server.on('connection', (socket) => this.#open(socket))
    for (const event of ['request', 'checkContinue', 'checkExpectation'])
      server.on(event, (request, response) => this.#take(request, response))
    server.on('timeout', (socket) => this.#timeOut(socket))
    // sockets are all that it listens to
    server.on('clientError', (error, socket) => this.#fail(error, socket as Socket))
  }

  /** Reads the body of a request as {@link Bodies} does. */
  async readBody(request: IncomingMessage, response: ServerResponse, bytesMax: number): Promise<string> {
    const connection = this.#await(request.socket)
    try {
      return await this.#bodies.read(request, response, bytesMax)
    } finally {
      if (connection) this.#awaited.delete(connection)
    }
  }

  /**
   * Sends an answer, and ends the connection with it where the rest of a body is not wanted, or after {@link end}.
   * Throws for a header that HTTP cannot carry.
   */
  send(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    headers: Record<string, string>,
    body: string | undefined,
  ): void {
    if (response.destroyed) return
    const { socket } = request
    const connection = this.#connections.get(socket)
    const bytes = body === undefined ? 0 : Buffer.byteLength(body)
    if (body !== undefined) headers['content-length'] = String(bytes)
    const isUnfinished = !isWhole(request)
    if (isUnfinished || (this.#isEnding && connection?.isLast !== false)) headers['connection'] = 'close'
    for (const name in headers) validateHeaderValue(name, headers[name]!) // writeHead would throw half way
    response.writeHead(status, headers)
    const sent = request.method === 'HEAD' ? undefined : body
    if (isUnfinished) this.#sendBeforeTheEnd(request, response, sent)
    else response.end(sent)
    if (connection && sent !== undefined) this.#turns.charge(connection.client, bytes)
    if (socket.writableLength > 0) this.#wait(socket, bytes)
    if (!isUnfinished) this.#readNothingUnread(socket)
  }

  /** From now on each answer is the last of its connection. */
  end(): void {
    this.#isEnding = true
  }

  /**
   * Takes no more connections, lets requests under way be answered, `drainMs` at the most, and resolves when every
   * connection is closed.
   */
  async close(drainMs: number): Promise<void> {
    this.end()
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    // http's own would cut idle connections off, and the requests that are on their way there
    SocketServer.prototype.close.call(this.#server)
    const late = setTimeout(() => this.#server.closeAllConnections(), drainMs)
    const idle = setTimeout(
      () => setImmediate(() => this.#closeIdle(this.#connections.values())),
      Math.min(this.#lingerMs(), drainMs),
    ) // what had come by then has been read
    await closed
    clearTimeout(late)
    clearTimeout(idle)
    this.#server.close() // ends what http watches connections with
  }

  #open(socket: Socket): void {
    if (this.#connections.size >= this.#limits.connectionsMax) {
      const [longest] = this.#awaited
      if (!longest) return void socket.destroy()
      this.#drop(longest)
    }
    const connection = new Connection(socket)
    this.#connections.set(socket, connection)
    this.#awaited.add(connection)
    socket.once('close', () => this.#forget(connection))
  }

  /** It is its client's turn: to send, or to read. Undefined if the connection is closed. */
  #await(socket: Socket): Connection | undefined {
    const connection = this.#connections.get(socket)
    if (connection) this.#awaited.add(connection)
    return connection
  }

  #drop(connection: Connection): void {
    this.#forget(connection) // its place is free at once
    connection.socket.destroy()
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection.socket)
    this.#awaited.delete(connection)
    this.#countPipelined(connection, 0)
    this.#taken(connection.socket)
  }

  /** Notes how many requests of a connection wait behind another. */
  #countPipelined(connection: Connection, count: number): void {
    this.#pipelinedTotal += count - (this.#pipelined.get(connection) ?? 0)
    if (count > 0) this.#pipelined.set(connection, count)
    else this.#pipelined.delete(connection)
    for (const longest of this.#pipelined.keys()) {
      if (this.#pipelinedTotal <= this.#limits.pipelinedTotalMax) break
      this.#drop(longest)
    }
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.get(request.socket)
    // nobody would hear the answer
    if (!connection || connection.isOver || connection.refusal !== undefined || !connection.socket.writable) return
    const { pipelinedMax } = this.#limits
    const isFull = connection.unanswered > pipelinedMax // one of them does not wait
    const flaw = isFull
      ? new AtollError('OVERLOADED', `${pipelinedMax} requests wait on this connection (pipelinedMax)`)
      : flawOf(request)
    if (flaw) return this.#refuse(connection, flaw)
    this.#awaited.delete(connection)
    const waiting = connection.waiting.push({ request, response })
    if (connection.unanswered > 1) this.#countPipelined(connection, connection.unanswered - 1)
    else if (waiting === 1) this.#turns.take(connection.client, connection)
  }

  #serveNext(connection: Connection): void {
    const { socket, waiting } = connection
    if (!socket.writable || connection.isOver) return void (waiting.length = 0)
    const { request, response } = (connection.current = waiting.shift()!) // nobody else takes one away
    response.once('close', () => this.#answered(connection))
    this.#handler.serve(request, response)
  }

  /** The next request begins when the client has taken the answer to this one: what it does not read is not made. */
  #answered(connection: Connection): void {
    const { socket, waiting, refusal } = connection
    this.#taken(socket)
    connection.current = undefined
    connection.answeredMs = performance.now()
    if (this.#pipelined.has(connection)) {
      this.#countPipelined(connection, 0) // of what waits now, nothing has waited for longer than since it came
      if (waiting.length > 1) this.#countPipelined(connection, waiting.length - 1)
    }
    if (waiting.length === 0) this.#await(socket)
    if (this.#isEnding) this.#closeLater(connection)
    // a hundred in one packet hold up nobody else
    if (waiting.length > 0) this.#turns.takeLater(connection.client, connection)
    else if (refusal !== undefined && !connection.isOver && socket.writable) this.#endWith(connection, refusal)
  }

  /** Most clients see no answer while they send, and none at all if the connection is reset meanwhile. */
  #sendBeforeTheEnd(request: IncomingMessage, response: ServerResponse, body: string | undefined): void {
    const { socket } = request
    this.#await(socket)
    if (body === undefined) response.flushHeaders()
    else response.write(body)
    const late = setTimeout(() => response.end(), this.#limits.lingerMs)
    response.once('close', () => clearTimeout(late))
    request.once('end', () => {
      response.end()
      this.#readNothingUnread(socket)
    })
    request.resume()
  }

  /**
   * If a client could send while it has an answer to read, that would count as a sign of life, and it could put off
   * reading for ever.
   */
  #readNothingUnread(socket: Socket): void {
    if (this.#unsent.has(socket)) socket.pause()
  }

  #wait(socket: Socket, bytes: number): void {
    this.#await(socket)
    this.#unsent.set(socket, bytes)
    this.#unsentBytes += bytes
    for (const longest of this.#unsent.keys()) {
      if (this.#unsentBytes <= this.#limits.unsentBytesMax) break
      this.#taken(longest)
      longest.destroy()
    }
  }

  #taken(socket: Socket): void {
    const bytes = this.#unsent.get(socket)
    if (bytes === undefined) return
    this.#unsentBytes -= bytes
    this.#unsent.delete(socket)
    const connection = this.#connections.get(socket)
    if (connection) this.#awaited.delete(connection)
    if (!socket.destroyed && connection?.refusal === undefined) socket.resume()
  }

  /** Nothing has moved for a while. A client whose answer is not ready yet may go on waiting. */
  #timeOut(socket: Socket): void {
    const connection = this.#connections.get(socket)
    const isIdle = connection?.unanswered === 0 && connection.answeredMs !== undefined
    if (socket.writableLength > 0 || isIdle) socket.destroy()
  }

  #fail(error: NodeJS.ErrnoException, socket: Socket): void {
    const connection = this.#connections.get(socket)
    if (connection?.isOver || connection?.refusal !== undefined) return
    if (!connection || !socket.writable) return void socket.destroy()
    const { code, reason } = failures[error.code ?? ''] ?? {
      code: 'MALFORMED',
      reason: 'this is not an HTTP request that can be trusted',
    }
    this.#refuse(connection, new AtollError(code, reason, { cause: error }))
  }

  /**
   * Answers a request that is not served (not HTTP, too much of it, or too slow) in its turn, and ends the connection.
   * What comes behind it is not read.
   */
  #refuse(connection: Connection, error: AtollError): void {
    connection.ignoreRest()
    const { headers, body } = this.#handler.refusal(error)
    const head = Object.entries({
      ...headers,
      'cache-control': 'no-store',
      'content-length': String(Buffer.byteLength(body)),
      connection: 'close',
    })
    const refusal = `HTTP/1.1 ${error.status} ${error.code}\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
    const { socket, current } = connection
    const isCurrentWhole = current !== undefined && isWhole(current.request)
    if (isCurrentWhole || (!current && connection.waiting.length > 0)) connection.refusal = refusal
    else if (current?.response.headersSent) socket.destroy()
    else this.#endWith(connection, refusal)
  }

  /** A client that keeps its half open does not keep the connection. */
  #endWith(connection: Connection, text: string): void {
    const { socket } = connection
    connection.isOver = true
    socket.end(text)
    // if it has sent something that was not read, closing resets the connection, and the client may lose the answer
    socket.resume()
    const late = setTimeout(() => socket.destroy(), this.#limits.lingerMs)
    socket.once('close', () => clearTimeout(late))
  }

  /** How long clients that have just connected, or have just been answered, still get to send a request. */
  #lingerMs(): number {
    const now = performance.now()
    let lingerMs = 0
    for (const { answeredMs, openedMs } of this.#connections.values())
      lingerMs = Math.max(lingerMs, (answeredMs ?? openedMs) + this.#limits.lingerMs - now)
    return lingerMs
  }

  /**
   * Closes the connections on which nobody waits for anything. For Node.js, a connection that was never asked anything,
   * as browsers and balancers open in advance, is busy.
   */
  #closeIdle(connections: Iterable<Connection>): void {
    const quiet = findQuiet(this.#server, this.#connections.keys())
    for (const { socket, isAnswered } of connections)
      if (isAnswered && (quiet.has(socket) || socket.bytesRead === 0)) socket.destroy()
  }

  /** An answer that began before the end did not say that it was the last: its client may have asked once more. */
  #closeLater(connection: Connection): void {
    const { socket } = connection
    if (!this.#connections.has(socket)) return
    const idle = setTimeout(() => {
      if (this.#lingered.add(connection).size === 1) setImmediate(() => this.#closeLingered())
    }, this.#limits.lingerMs)
    socket.once('close', () => clearTimeout(idle))
  }

  /**
   * Closes all at once those whose time ended in the same round: to find out which are idle takes a look at every
   * connection.
   */
  #closeLingered(): void {
    const lingered = [...this.#lingered]
    this.#lingered.clear()
    this.#closeIdle(lingered)
  }
}

/** Whether all of a request has come. One without a body has, also while the parser has not said so yet. */
function isWhole({ complete, headers }: IncomingMessage): boolean {
  return complete || (headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0')
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

class Connection {
  readonly socket: Socket
  /** Who takes turns with others. */
  readonly client: string
  readonly openedMs = performance.now()
  /** When its last answer was taken. */
  answeredMs: number | undefined
  current: Exchange | undefined
  readonly waiting: Exchange[] = []
  /** What is to be sent when those that came before have been answered. */
  refusal: string | undefined
  /** Nothing more is sent, and what still comes is not looked at. */
  isOver = false

  constructor(socket: Socket) {
    this.socket = socket
    this.client = clientOf(socket.remoteAddress)
  }

  /** Whether all requests that have come are answered. Part of another one may have come. */
  get isAnswered(): boolean {
    return this.unanswered === 0 && this.refusal === undefined && !this.isOver
  }

  /** How many of its requests have come and are not answered. */
  get unanswered(): number {
    return this.waiting.length + (this.current ? 1 : 0)
  }

  /** Whether nothing is to be sent behind the current answer. */
  get isLast(): boolean {
    return this.waiting.length === 0 && this.refusal === undefined
  }

  /**
   * Takes the socket away from the parser. For each request that it finds there Node.js would keep an answer that is
   * never made. A request that waits, and whose body has not come by now, is not served: the body cannot come any more,
   * and the request would wait for it for ever.
   */
  ignoreRest(): void {
    this.socket.pause() // while http hears of it: it stops reading, and later nobody would
    this.socket.removeAllListeners('data').on('data', ignore)
    const last = this.waiting.at(-1) // only of the last one something can be missing
    if (last && !isWhole(last.request)) this.waiting.pop()
  }
}

function ignore(): void {}

const failures: Readonly<Record<string, { code: ErrorCode; reason: string }>> = {
  HPE_HEADER_OVERFLOW: { code: 'HEADERS_TOO_LARGE', reason: 'the headers are over the limit (headerBytesMax)' },
  ERR_HTTP_REQUEST_TIMEOUT: { code: 'REQUEST_TIMEOUT', reason: 'the request did not arrive in time' },
}
