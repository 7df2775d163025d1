import type { Cancellation } from 'atoll/runtime'

/** A request as the gateway sees it, whatever carried it. */
export interface GatewayRequest {
  readonly method: string
  /** Path and query string, as they were sent. */
  readonly url: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /**
   * Reads the body; called once at the most, and only where a body is wanted. Rejects with BODY_TOO_LARGE, MALFORMED,
   * OVERLOADED or CANCELLED.
   */
  body(bytesMax: number): Promise<string>
  /** The address that the connection comes from: the client's, or its proxy's. */
  readonly address: string
  /** Aborts when the client goes away. Made when it is asked for. */
  signal(): Cancellation | undefined
}

export interface GatewayResponse {
  readonly status: number
  readonly headers: Record<string, string>
  /** JSON; undefined for no body. */
  readonly body: string | undefined
}

/** The value of a header; of one that came twice, the first. */
export function headerOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}
