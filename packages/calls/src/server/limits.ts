import type { ListenerLimits } from '../listener.ts'

/** Every limit of a call server. */
export interface ServerLimits extends ListenerLimits {
  /** Largest call, bytes; more is BODY_TOO_LARGE. Default 2 MiB: what the gateway takes, and what stands around it. */
  readonly bodyBytesMax: number
  /**
   * Largest output of an operation, as JSON, bytes; more is ANSWER_TOO_LARGE, and a command does nothing. A caller may
   * take less. Default 16 MiB.
   */
  readonly answerBytesMax: number
  /** Time for a whole call to arrive, milliseconds. Default 10,000. */
  readonly requestTimeoutMs: number
  /**
   * How long an idle connection is kept, milliseconds. Default 60,000; callers are told, and let go a second before.
   */
  readonly keepAliveTimeoutMs: number
  /**
   * Connections at a time. When one more comes, the connection that has waited longest for its caller to send or to
   * read is closed; if none waits, the new one is. Default 10,000.
   */
  readonly connectionsMax: number
  /**
   * Requests of one connection that wait for the answer to the one before; one more is refused in its turn, and the
   * connection ends. Default 10: callers send one at a time.
   */
  readonly pipelinedMax: number
  /**
   * The same over all connections. With more, the connections whose requests have waited longest are closed. Default
   * 1,000.
   */
  readonly pipelinedTotalMax: number
  /**
   * How long a caller may go without reading while it has an answer to read, milliseconds; then the connection is
   * closed. Default 10,000.
   */
  readonly answerTimeoutMs: number
  /**
   * Answers that callers have not read yet, bytes over all connections. With more, the connections that have waited
   * longest are closed. Default 256 MiB.
   */
  readonly unsentBytesMax: number
  /**
   * Bodies that have not arrived in full, bytes over all connections. With more, the bodies that have been arriving
   * longest are refused with 503. Default 256 MiB.
   */
  readonly arrivingBytesMax: number
  /**
   * Calls under way at a time, those apart that are still arriving; more are refused with OVERLOADED before they begin.
   * Default 1,000.
   */
  readonly callsInFlightMax: number
  /** The most time that a caller can give a call, milliseconds. Default 10 minutes. */
  readonly callMsMax: number
  /**
   * How long a server that stops goes on refusing calls by name at least, milliseconds, so that callers turn to others;
   * and how long a connection that ends goes on listening, for the rest of a refused body. Default 500.
   */
  readonly lingerMs: number
}

export const defaultServerLimits: ServerLimits = {
  bodyBytesMax: 2 * 2 ** 20,
  answerBytesMax: 16 * 2 ** 20,
  requestTimeoutMs: 10_000,
  keepAliveTimeoutMs: 60_000,
  connectionsMax: 10_000,
  pipelinedMax: 10,
  pipelinedTotalMax: 1_000,
  answerTimeoutMs: 10_000,
  unsentBytesMax: 256 * 2 ** 20,
  arrivingBytesMax: 256 * 2 ** 20,
  callsInFlightMax: 1_000,
  callMsMax: 600_000,
  lingerMs: 500,
}
