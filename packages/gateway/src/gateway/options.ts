import type { Host, Logger } from '@atoll/host'
import type { ConnectionLimits } from '@atoll/host/node'
import type { Caller } from 'atoll'
import type { Attribution } from 'atoll/runtime'

export interface GatewayOptions {
  host: Host
  logger: Logger
  /**
   * Knows on whose behalf code runs, as `Ports.attribution`: `authenticate` and the `errors` of contracts may leave a
   * rejection that nobody awaits. Without it, one ends the process.
   */
  attribution?: Attribution | undefined
  /** Put before every route, such as `/api`. Default none. */
  basePath?: string
  /**
   * Finds out who holds a token from the Authorization header (`Bearer …` or `Token …`). Undefined, or a throw (at once
   * or later), means that the token is not good; but an error that another try may mend (UNAVAILABLE, OVERLOADED) is
   * answered as such, and one that takes longer than `deadlineMs` as 504. Without this every token is refused.
   */
  authenticate?: (token: string) => Promise<Caller | undefined>
  /**
   * Whether every connection comes from a proxy of yours. The client's address is then the last entry of
   * X-Forwarded-For, the one that the proxy added; without it all clients would share the proxy's address, and wait for
   * each other's writes. Default false, since a client that reaches the gateway directly can claim any address.
   */
  trustProxy?: boolean
  /**
   * The secret that the processes of the system share. A client that sends it to `/readyz` (`Bearer …`) is answered why
   * the system is not ready; others only that it is not. Default none: everybody is answered why, in brief.
   */
  secret?: string | undefined
  /** Which web pages may call. Default: only those of the same origin. */
  cors?: CorsOptions
  /** Only what differs from {@link defaultLimits}. */
  limits?: Partial<GatewayLimits>
}

export interface CorsOptions {
  /** Exact origins, or `*` for any. Callers are known by a header and never by a cookie, so `*` gives nothing away. */
  origins: '*' | readonly string[]
}

/** Every limit of the gateway. */
export interface GatewayLimits extends ConnectionLimits {
  /** Largest request body, bytes; more is 413. Default 1 MiB. */
  readonly bodyBytesMax: number
  /** Levels of objects and lists in a request body; more is 413. Default 100. */
  readonly bodyDepthMax: number
  /** Fields and list elements of a request body, of all levels; more is 413. Default 20,000. */
  readonly bodyValuesMax: number
  /** Largest body of an answer, bytes; more is ANSWER_TOO_LARGE. Default 8 MiB. */
  readonly answerBytesMax: number
  /** Request line and headers together, bytes; more is 431. Default 16 KiB. */
  readonly headerBytesMax: number
  /** Time for the headers to arrive, milliseconds; later is 408. Default 10,000. */
  readonly headersTimeoutMs: number
  /** Time for the whole request to arrive, milliseconds; later is 408. Default 30,000. */
  readonly requestTimeoutMs: number
  /** How long an idle connection is kept, milliseconds. Default 65,000, more than common load balancers wait. */
  readonly keepAliveTimeoutMs: number
  /**
   * Requests under way at a time; more are refused with 503. One whose body is still arriving is not among them.
   * Default 2,000.
   */
  readonly requestsInFlightMax: number
  /**
   * Connections at a time. When one more comes, the connection that has waited longest for its client to send or to
   * read is closed; if none waits, the new one is. Default 10,000.
   */
  readonly connectionsMax: number
  /**
   * Requests of one connection that wait for the answer to the one before; one more is answered 503 when its turn
   * comes, and the connection ends. Default 10.
   */
  readonly pipelinedMax: number
  /**
   * The same over all connections. With more, the connections whose requests have waited longest are closed. Default
   * 1,000.
   */
  readonly pipelinedTotalMax: number
  /**
   * How long a client that has an answer to read may go without reading, milliseconds; then the connection is closed.
   * Default 20,000.
   */
  readonly answerTimeoutMs: number
  /**
   * Answers that clients have not read yet, bytes over all connections. With more, the connections that have waited
   * longest are closed. Default 256 MiB.
   */
  readonly unsentBytesMax: number
  /**
   * Bodies that have not arrived in full, bytes over all connections. With more, the bodies that have been arriving
   * longest are refused with 503. Default 256 MiB.
   */
  readonly arrivingBytesMax: number
  /**
   * How long a connection that is ending keeps reading, milliseconds: the rest of a refused body, or a request that is
   * on its way. Default 500.
   */
  readonly lingerMs: number
  /** Time an operation has, milliseconds; then 504. Default 10,000. */
  readonly deadlineMs: number
  /** Callers whose position is remembered, and as many addresses. Default 10,000. */
  readonly positionsMax: number
  /** How long a position is remembered, milliseconds. Default 60,000. */
  readonly positionAgeMsMax: number
  /**
   * How long a request waits for what another client at its address has written, or its own caller before it was known,
   * milliseconds; then it is answered from what is there. Default 500.
   */
  readonly addressWaitMs: number
}

export const defaultLimits: GatewayLimits = {
  bodyBytesMax: 2 ** 20,
  bodyDepthMax: 100,
  bodyValuesMax: 20_000,
  answerBytesMax: 8 * 2 ** 20,
  headerBytesMax: 16 * 2 ** 10,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 65_000,
  requestsInFlightMax: 2_000,
  connectionsMax: 10_000,
  pipelinedMax: 10,
  pipelinedTotalMax: 1_000,
  answerTimeoutMs: 20_000,
  unsentBytesMax: 256 * 2 ** 20,
  arrivingBytesMax: 256 * 2 ** 20,
  lingerMs: 500,
  deadlineMs: 10_000,
  positionsMax: 10_000,
  positionAgeMsMax: 60_000,
  addressWaitMs: 500,
}
